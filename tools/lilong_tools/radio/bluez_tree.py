"""The objects of a D-Bus service. The only importer of dbus_fast."""

import os
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from dbus_fast import Message, MessageType, Variant, unpack_variants
from dbus_fast.aio import MessageBus

from lilong_tools.errors import ToolError
from lilong_tools.radio.bluez_errors import BluezError
from lilong_tools.radio.bluez_face import Call, Face, Method, Values
from lilong_tools.radio.bluez_work import Work

_ERROR = "org.freedesktop.DBus.Error."
_BUS = "org.freedesktop.DBus"
_MANAGER = f"{_BUS}.ObjectManager"
_PROPERTIES = f"{_BUS}.Properties"
_GONE = f"type='signal',sender='{_BUS}',member='NameOwnerChanged',arg2=''"


class Tree:
    """The objects of one connection to the bus."""

    def __init__(self, work: Work) -> None:
        """Make an empty tree that is on no bus; calls are answered as part of `work`."""
        self._work = work
        self._bus: MessageBus | None = None
        self._objects: dict[str, tuple[Face, ...]] = {}
        self._left: Callable[[str], None] | None = None

    async def open(self, address: str, name: str, left: Callable[[str], None]) -> None:
        """Connect and own the name; `left` hears of clients that left the bus. ToolError."""
        bus = MessageBus(address, negotiate_unix_fd=True)
        try:
            await bus.connect()
        except OSError as error:
            raise ToolError(f"no bus at {address} ({error})", "start it first") from error
        self._bus, self._left = bus, left
        bus.add_message_handler(self._handle)
        path = f"/{_BUS.replace('.', '/')}"
        await bus.call(Message(_BUS, path, _BUS, "AddMatch", signature="s", body=[_GONE]))
        await bus.request_name(name)

    def close(self) -> None:
        """Leave the bus without a word; the objects are forgotten."""
        self._objects.clear()
        if self._bus is not None:
            self._bus.disconnect()
            self._bus = None

    def add(self, path: str, *faces: Face) -> None:
        """Put an object on the bus (InterfacesAdded)."""
        self._objects[path] = faces
        for face in faces:
            face.tell(partial(self._changed, path))
        self._emit("/", "InterfacesAdded", "oa{sa{sv}}", [path, _wrapped(faces)])

    def remove(self, path: str) -> None:
        """Take an object off the bus (InterfacesRemoved), if it is there."""
        faces = self._objects.pop(path, ())
        for face in faces:
            face.tell(None)
        if faces:
            names = [face.name for face in faces]
            self._emit("/", "InterfacesRemoved", "oas", [path, names])

    def _changed(self, path: str, face: Face, here: Values, gone: list[str]) -> None:
        body = [face.name, _variants(face.signatures, here), gone]
        self._emit(path, "PropertiesChanged", "sa{sv}as", body)

    def _emit(self, path: str, member: str, signature: str, body: list[Any]) -> None:
        interface = _PROPERTIES if member == "PropertiesChanged" else _MANAGER
        self._send(Message.new_signal(path, interface, member, signature, body))

    def _send(self, message: Message) -> None:
        if self._bus is not None and self._bus.connected:
            self._bus.send(message)

    def _handle(self, message: Message) -> bool:
        """Take a message from the bus; False leaves it to the library (Peer, Introspectable)."""
        if message.message_type is MessageType.SIGNAL and message.member == "NameOwnerChanged":
            if self._left is not None and not message.body[2]:
                self._left(message.body[0])
            return False
        interface = str(message.interface)
        ours = interface in {_MANAGER, _PROPERTIES} or not interface.startswith(f"{_BUS}.")
        if message.message_type is not MessageType.METHOD_CALL or not ours:
            return False
        self._work.start(self._reply(message))
        return True

    async def _reply(self, message: Message) -> None:
        try:
            method = self._method(message)
            call = Call(str(message.sender), unpack_variants(message.body))
            answer = list(await method.answer(call))
        except BluezError as error:
            self._send(Message.new_error(message, error.name, error.text))
            return
        except Exception:
            self._send(Message.new_error(message, f"{_ERROR}Failed", "bluetoothd broke"))
            raise
        files = [answer[0]] if method.gives.startswith("h") else []
        if files:
            answer[0] = 0
        self._send(Message.new_method_return(message, method.gives, answer, files))
        for file in files:
            os.close(file)

    def _method(self, message: Message) -> Method:
        """Find what answers a call; BluezError as of a bus without that object or method."""
        found: Method | None
        if message.interface == _MANAGER:
            found = Method("", "a{oa{sa{sv}}}", self._all)
        elif (faces := self._objects.get(str(message.path))) is None:
            raise BluezError(f"{_ERROR}UnknownObject", f"{message.path} does not exist")
        elif message.interface == _PROPERTIES:
            found = _Properties(faces).method(str(message.member))
        else:
            asked = [face.methods for face in faces if face.name == message.interface]
            found = asked[0].get(str(message.member)) if asked else None
        if found is None or found.takes != message.signature:
            text = f"{message.interface}.{message.member}({message.signature}) does not exist"
            raise BluezError(f"{_ERROR}UnknownMethod", text)
        return found

    async def _all(self, _: Call) -> tuple[Any, ...]:
        return ({path: _wrapped(faces) for path, faces in self._objects.items()},)


class _Properties:
    """org.freedesktop.DBus.Properties of one object."""

    def __init__(self, faces: tuple[Face, ...]) -> None:
        self._faces = {face.name: face for face in faces}

    def method(self, name: str) -> Method | None:
        methods = {
            "Get": Method("ss", "v", self._get),
            "GetAll": Method("s", "a{sv}", self._get_all),
            "Set": Method("ssv", "", self._set),
        }
        return methods.get(name)

    async def _get(self, call: Call) -> tuple[Any, ...]:
        (values,) = await self._get_all(call)
        if call.body[1] not in values:
            raise BluezError(f"{_ERROR}UnknownProperty", f"there is no {call.body[1]} here")
        return (values[call.body[1]],)

    async def _get_all(self, call: Call) -> tuple[Any, ...]:
        face = self._face(call)
        return (_variants(face.signatures, face.values()),)

    async def _set(self, call: Call) -> tuple[Any, ...]:
        _, name, value = call.body
        if (setter := self._face(call).setters.get(name)) is None:
            raise BluezError(f"{_ERROR}PropertyReadOnly", f"{name} cannot be set")
        await setter(value)
        return ()

    def _face(self, call: Call) -> Face:
        if (face := self._faces.get(call.body[0])) is None:
            raise BluezError(f"{_ERROR}UnknownInterface", f"there is no {call.body[0]} here")
        return face


def _wrapped(faces: tuple[Face, ...]) -> dict[str, dict[str, Variant]]:
    return {face.name: _variants(face.signatures, face.values()) for face in faces}


def _variants(signatures: Mapping[str, str], values: Values) -> dict[str, Variant]:
    return {name: _variant(signatures[name], value) for name, value in values.items()}


def _variant(signature: str, value: Any) -> Variant:  # noqa: ANN401 - what D-Bus types allow
    """Wrap a value; dictionaries of variants (manufacturer and service data) hold bytes."""
    if signature.endswith("v}"):
        return Variant(signature, {key: Variant("ay", each) for key, each in value.items()})
    return Variant(signature, value)
