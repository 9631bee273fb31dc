"""`bluetooth` of a virtual node: MicroPython's own, peripheral role, as on an ESP32 (NimBLE).

The radio is in the process that started the node. The environment holds VNODE_RADIO: the numbers
of a socket and of an eventfd that this process inherits, and the radio's address in 12 digits.
Sources: MicroPython's extmod/modbluetooth.c, extmod/nimble/modbluetooth_nimble.c, Apache NimBLE.
"""

import os
import struct
import sys
from binascii import unhexlify
from errno import EINVAL, ENODEV, ENOMEM, EOPNOTSUPP

import waking
from bridge import Bridge
from micropython import const
from server import Server
from uuids import UUID

__all__ = ("BLE", "UUID")

FLAG_READ = 0x0002
FLAG_WRITE_NO_RESPONSE = 0x0004
FLAG_WRITE = 0x0008
FLAG_NOTIFY = 0x0010
FLAG_INDICATE = 0x0020

_EBUSY = const(16)
_TOO_LONG = const(-0x12)
_BAD_INTERVAL = const(-0x212)
"""HCI's Invalid Parameters, which NimBLE passes on as a negative number."""
_CONNECTIONS = const(4)
_LONGEST_NAME = const(31)
_LONGEST_ADVERT = const(31)
_SMALLEST_MTU = const(23)
_LARGEST_MTU = const(527)
_USUAL_MTU = const(256)
_SLOT_US = const(625)
_USUAL_SLOTS = const(48)
_USUAL_SLOTS_UNCONNECTABLE = const(160)

_POWER = const(1)
_NAME = const(2)
_MTU = const(3)
_ADVERTISE = const(5)
_QUIET = const(6)
_CONNECTED = const(32)

_GET_SECRET = const(29)
_SET_SECRET = const(30)
_PEER_SECURITY = const(2)
_OWN_KEY = const(10)


class BLE:
    """The one radio of a node; OSError ENODEV for what it cannot do while it is off."""

    _only = None

    def __new__(cls) -> "BLE":  # noqa: PYI034 - no Self there
        """Return the same object each time."""
        if BLE._only is None:
            BLE._only = object.__new__(cls)
            BLE._only._begin()  # noqa: SLF001 - its own
        return BLE._only

    def _begin(self) -> None:
        words = os.getenv("VNODE_RADIO").split()
        self._address = unhexlify(words[2])
        self._handler = None
        self._active = False
        self._name = b"MPY ESP32"
        self._bridge = Bridge(int(words[0]), waking.Flag.bell, self._take)
        self._forget()
        self._bridge.start()

    def _forget(self) -> None:
        self._mtu = _USUAL_MTU
        self._advert = b""
        self._response = b""
        self._advertising = False
        self._connectable = False
        self._server = Server(self._bridge, self._tell)

    def active(self, active: "bool | None" = None) -> bool:
        """Switch the radio on or off, if asked to; return whether it is on.

        On starts it anew in any case, without services and connections.
        """
        if active is not None:
            self._forget()
            self._active = bool(active)
            self._bridge.send(_POWER, 0, bytes((self._active,)))
            self._bridge.send(_NAME, 0, self._name)
        if active:
            self._ask_secrets()
        return self._active

    def config(self, *names: str, **settings: "object") -> "object":
        """Return mac, gap_name or mtu, or set gap_name or mtu; ValueError for what is unknown."""
        if not settings:
            if len(names) != 1:
                raise TypeError("must query one param")
            return self._setting(names[0])
        if names:
            raise TypeError("can't specify pos and kw args")
        for name, value in settings.items():
            self._configure(name, value)
        return None

    def irq(self, handler: "object") -> None:
        """Call `handler` with the number of an event and its data, or nothing if it is None."""
        if handler is not None and not callable(handler):
            raise ValueError("invalid handler")
        self._handler = handler

    def gap_advertise(
        self,
        interval_us: "int | None" = 500000,
        adv_data: "bytes | None" = None,
        *,
        resp_data: "bytes | None" = None,
        connectable: bool = True,
    ) -> None:
        """Advertise; None stops it. Data that is not given stays as it was."""
        if interval_us is None:
            self._be_quiet()
            return
        self._on()
        try:
            body = self._advertisement(interval_us, adv_data, resp_data, connectable)
        except OSError:
            # By now the device would have stopped, to begin anew.
            self._be_quiet()
            raise
        self._advertising = True
        self._connectable = bool(connectable)
        self._bridge.send(_ADVERTISE, 0, body)

    def gap_disconnect(self, conn_handle: int) -> bool:
        """End a connection, which takes a while; False if there is none. OSError EALREADY."""
        return self._on().hang_up(conn_handle)

    def gatts_register_services(self, services: "object") -> "tuple[tuple[int, ...], ...]":
        """Replace all services; return the handles. OSError EBUSY if advertising or connected."""
        if self._advertising:
            raise OSError(_EBUSY)
        return self._on().register(services)

    def gatts_read(self, value_handle: int) -> bytes:
        """Return a value; one that is appended to is empty afterwards."""
        return self._server.read(value_handle)

    def gatts_write(
        self,
        value_handle: int,
        data: bytes,
        send_update: bool = False,  # noqa: FBT001, FBT002 - MicroPython's
    ) -> int:
        """Set a value; on request, tell those who have subscribed. OSError EINVAL."""
        return self._on().write(value_handle, data, send_update=send_update)

    def gatts_notify(self, conn: int, handle: int, data: "bytes | None" = None) -> None:
        """Send data, or the value, cut off at the MTU. OSError ENOMEM: nothing was taken."""
        self._on().notify(conn, handle, data)

    def gatts_indicate(self, conn: int, handle: int, data: "bytes | None" = None) -> None:
        """Send data, or the value, to be confirmed; an event tells the end of it."""
        self._on().indicate(conn, handle, data)

    def gatts_set_buffer(
        self,
        value_handle: int,
        size: int,
        append: bool = False,  # noqa: FBT001, FBT002 - MicroPython's
    ) -> None:
        """Give a value room, which empties it. OSError EINVAL."""
        self._on().resize(value_handle, size, append=bool(append))

    def _not_here(self, *_arguments: "object", **_settings: "object") -> None:
        raise OSError(EOPNOTSUPP)

    gap_scan = gap_connect = gap_pair = gap_passkey = _not_here
    gattc_discover_services = gattc_discover_characteristics = _not_here
    gattc_discover_descriptors = gattc_exchange_mtu = gattc_read = gattc_write = _not_here

    def _ask_secrets(self) -> None:
        """Ask the program for the keys of paired devices and its own, as NimBLE does first."""
        self._tell(_GET_SECRET, (_PEER_SECURITY, 0, None))
        if self._tell(_GET_SECRET, (_OWN_KEY, 0, memoryview(b"irk"))) is None:
            self._tell(_SET_SECRET, (_OWN_KEY, memoryview(b"irk"), memoryview(os.urandom(16))))

    def _on(self) -> Server:
        if not self._active:
            raise OSError(ENODEV)
        return self._server

    def _setting(self, name: str) -> "object":
        if name == "gap_name":
            return self._name
        if name not in {"mac", "mtu"}:
            raise ValueError("unknown config param")
        self._on()
        return (0, self._address) if name == "mac" else self._mtu

    def _configure(self, name: str, value: "object") -> None:
        if name == "gap_name":
            name = value.encode() if isinstance(value, str) else bytes(value)
            if len(name) > _LONGEST_NAME:
                raise OSError(EINVAL)
            self._name = name
            self._bridge.send(_NAME, 0, name)
        elif name == "mtu":
            self._on()
            if not _SMALLEST_MTU <= value <= _LARGEST_MTU:
                raise OSError(EINVAL)
            self._mtu = value
            self._bridge.send(_MTU, 0, struct.pack("<H", value))
        elif name in {"addr_mode", "bond", "mitm", "io", "le_secure"}:
            self._not_here()
        else:
            raise ValueError("unknown config param")

    def _advertisement(
        self,
        interval_us: int,
        adv_data: "bytes | None",
        resp_data: "bytes | None",
        connectable: "object",
    ) -> bytes:
        if adv_data is not None:
            self._advert = _payload(adv_data)
        if resp_data is not None:
            self._response = _payload(resp_data)
        if connectable and len(self._server.links) >= _CONNECTIONS:
            raise OSError(ENOMEM)
        usual = _USUAL_SLOTS if connectable else _USUAL_SLOTS_UNCONNECTABLE
        slots = interval_us // _SLOT_US or usual
        if not 0x20 <= slots <= 0x4000:
            raise OSError(_BAD_INTERVAL)
        head = struct.pack("<HBB", slots, bool(connectable), len(self._advert))
        return head + self._advert + self._response

    def _be_quiet(self) -> None:
        self._advertising = False
        if self._active:
            self._bridge.send(_QUIET)

    def _take(self, kind: int, connection: int, body: bytes) -> None:
        if not self._active:
            return
        if kind == _CONNECTED and self._connectable:
            self._advertising = False
        self._server.take(kind, connection, body)

    def _tell(self, event: int, data: "tuple[object, ...]") -> "object":
        if self._handler is None:
            return None
        try:
            return self._handler(event, data)
        except BaseException as error:  # noqa: BLE001 - not even SystemExit leaves a handler
            print("Unhandled exception in IRQ callback handler", file=sys.stderr)
            sys.print_exception(error, sys.stderr)
            self._handler = None
            return None


def _payload(data: "bytes | str") -> bytes:
    payload = data.encode() if isinstance(data, str) else bytes(data)
    if len(payload) > _LONGEST_ADVERT:
        raise OSError(_TOO_LONG)
    return payload


# Before the program makes a flag.
waking.install(int(os.getenv("VNODE_RADIO").split()[1]))
