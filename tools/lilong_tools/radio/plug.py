"""The radio of a virtual node: it lasts, whatever happens to the node's process."""

import asyncio
import importlib.util
import logging
import os
import socket
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from lilong_tools.errors import NodeSettingsError
from lilong_tools.radio.air import Air
from lilong_tools.radio.beacon import Beacon
from lilong_tools.radio.frames import FrameReader, FromNode, ToNode, pack, records
from lilong_tools.radio.peripheral import Peripheral

_log = logging.getLogger(__name__)
_ADVERTISE = struct.Struct("<HBB")
_SHIM_KIB = 17


class Radio:
    """A controller of the air and, for each process of the node, a line to it.

    When a process ends its centrals are told if the radio is `polite`; else they notice by their
    timeouts, as after a reset or a power cut of a real node.
    """

    heap_kib = _SHIM_KIB
    """What the node's side of it takes of the heap; on a device it is in flash."""

    def __init__(
        self, air: Air, name: str, address: str | None = None, *, polite: bool = False
    ) -> None:
        """Join the air under a name, with this public address or one of the air's own."""
        self.name = name
        self.controller = air.controller(name, address)
        self.polite = polite
        self._air = air
        self._node_ends: tuple[int, ...] = ()
        self._line: _Line | None = None

    @property
    def address(self) -> str:
        """Its public address, as bleak writes it."""
        return str(self.controller.public_address).removesuffix("/P")

    @property
    def module_path(self) -> tuple[str, ...]:
        """Where the node finds `bluetooth`."""
        spec = importlib.util.find_spec("lilong_firmware")
        if spec is None or spec.origin is None:
            raise NodeSettingsError("the package lilong_firmware is missing", "run `make setup`")
        return (str(Path(spec.origin).parent / "virtual" / "radio"),)

    @property
    def node_ends(self) -> tuple[int, ...]:
        """The descriptors that the process inherits which is about to start."""
        return self._node_ends

    @property
    def environment(self) -> Mapping[str, str]:
        """What tells that process of them."""
        address = bytes(self.controller.public_address)[::-1].hex()
        return {"VNODE_RADIO": " ".join([*map(str, self._node_ends), address])}

    async def begin(self) -> None:
        """Make the line of a process that is about to start; `begun` when it has."""
        self.end()
        ours, theirs = socket.socketpair()
        bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._node_ends = (theirs.detach(), bell)
        loop = asyncio.get_running_loop()
        _, line = await loop.create_connection(lambda: _Line(self), sock=ours)
        self._line = line

    def begun(self) -> None:
        """Leave the node's ends to the process: the line then ends with it."""
        for descriptor in self._node_ends:
            os.close(descriptor)
        self._node_ends = ()

    def end(self) -> None:
        """Take the power of the process that is gone, if there is one."""
        self.begun()
        if self._line is not None:
            self._line.end()
            self._line = None

    def close(self) -> None:
        """Leave the air."""
        self.end()
        self._air.remove(self.name)


class _Line(asyncio.Protocol):
    """The line to one process, and what its radio is at present."""

    def __init__(self, radio: Radio) -> None:
        self._radio = radio
        self._reader = FrameReader()
        self._wire: asyncio.WriteTransport | None = None
        self._peripheral: Peripheral | None = None
        self._former: Peripheral | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._wire = cast("asyncio.WriteTransport", transport)

    def data_received(self, data: bytes) -> None:
        try:
            for kind, connection, body in self._reader.feed(data):
                self._take(kind, connection, body)
        except (ValueError, struct.error, IndexError) as error:
            _log.warning("%s: a node that speaks otherwise: %s", self._radio.name, error)
            self.end()

    def connection_lost(self, _error: Exception | None) -> None:
        self._switch_off(polite=self._radio.polite)

    def end(self) -> None:
        """Close it."""
        self._switch_off(polite=self._radio.polite)
        if self._wire is not None:
            self._wire.abort()

    def _tell(self, kind: ToNode, connection: int, body: bytes) -> None:
        if self._wire is not None and not self._wire.is_closing():
            self._wire.write(pack(kind, connection, body))

    def _take(self, kind: FromNode, connection: int, body: bytes) -> None:
        radio = self._peripheral
        if kind is FromNode.POWER:
            self._switch_off(polite=True)
            if body[0]:
                self._peripheral = Peripheral(self._radio.controller, self._tell)
                self._peripheral.start(self._former)
        elif kind is FromNode.FAREWELL:
            self.end()
        elif radio is not None:
            _obey(radio, kind, connection, body)

    def _switch_off(self, *, polite: bool) -> None:
        radio, self._peripheral = self._peripheral, None
        if radio is not None:
            radio.stop(polite=polite)
            self._former = radio


def _obey(radio: Peripheral, kind: FromNode, connection: int, body: bytes) -> None:
    match kind:
        case FromNode.NOTIFY:
            radio.notify(connection, int.from_bytes(body[:2], "little"), body[2:])
        case FromNode.INDICATE:
            radio.indicate(connection, int.from_bytes(body[:2], "little"), body[2:])
        case FromNode.WRITTEN | FromNode.VALUE:
            radio.centrals.answer(connection, body[0], body[1:])
        case FromNode.HANG_UP:
            radio.hang_up(connection)
        case FromNode.ADVERTISE:
            radio.advertise(_beacon(body))
        case FromNode.QUIET:
            radio.be_quiet()
        case _:
            _set(radio, kind, body)


def _set(radio: Peripheral, kind: FromNode, body: bytes) -> None:
    if kind is FromNode.TABLE:
        radio.define(list(records(body)))
    elif kind is FromNode.NAME:
        radio.set_name(body)
    elif kind is FromNode.MTU:
        radio.set_mtu(int.from_bytes(body, "little"))


def _beacon(body: bytes) -> Beacon:
    slots, connectable, size = _ADVERTISE.unpack_from(body)
    data = body[_ADVERTISE.size :]
    return Beacon(slots, bool(connectable), data[:size], data[size:])
