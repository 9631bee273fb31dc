"""A serial port that can be pulled out while the node behind it runs on."""

import asyncio
import contextlib
import os
import socket
from pathlib import Path

from lilong_tools.vnode.port import Port

_CHUNK_BYTES = 4096


class Cable(Port):
    """A port with the node on a line of its own, and a pump between the two.

    Bytes of the node are lost while the port is away, as on a UART with nothing plugged in.
    The pump runs in the event loop: it must be made and used inside one.
    """

    outlives_plug = True

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._near, self._far = socket.socketpair()
        for end in (self._near, self._far):
            end.settimeout(0)
        self._outward = _Pump(self._far.fileno())
        self._inward: _Pump | None = None
        self._outward.start(None)

    @property
    def node_end(self) -> int:
        """The non-blocking file descriptor that the node inherits."""
        return self._near.fileno()

    def plug(self) -> None:
        """Let the port appear and carry bytes again."""
        if self.plugged:
            return
        super().plug()
        terminal = self._ends()[0]
        self._outward.start(terminal)
        self._inward = _Pump(terminal)
        self._inward.start(self._far.fileno())

    def unplug(self) -> None:
        """Let the port vanish; the node's bytes go nowhere from here on."""
        if self._inward is not None:
            self._inward.stop()
            self._inward = None
            self._outward.start(None)
        super().unplug()

    def close(self) -> None:
        """Give everything back."""
        self.unplug()
        self._outward.stop()
        self._near.close()
        self._far.close()


class _Pump:
    """One direction: holds back the source while the sink is full, so nothing is lost between."""

    def __init__(self, source: int) -> None:
        self._source = source
        self._sink: int | None = None
        self._waiting = b""
        self._loop = asyncio.get_running_loop()

    def start(self, sink: int | None) -> None:
        """Carry to `sink` from now on; None throws away."""
        self.stop()
        self._sink = sink
        self._loop.add_reader(self._source, self._read)

    def stop(self) -> None:
        """Carry nothing; what was held back is lost."""
        self._waiting = b""
        self._loop.remove_reader(self._source)
        if self._sink is not None:
            self._loop.remove_writer(self._sink)

    def _read(self) -> None:
        try:
            self._waiting = os.read(self._source, _CHUNK_BYTES)
        except BlockingIOError:
            return
        except OSError:
            self._loop.remove_reader(self._source)
            return
        self._write()
        if self._waiting and self._sink is not None:
            self._loop.remove_reader(self._source)
            self._loop.add_writer(self._sink, self._drain)

    def _drain(self) -> None:
        self._write()
        if not self._waiting and self._sink is not None:
            self._loop.remove_writer(self._sink)
            self._loop.add_reader(self._source, self._read)

    def _write(self) -> None:
        if self._sink is None:
            self._waiting = b""
            return
        with contextlib.suppress(BlockingIOError):
            self._waiting = self._waiting[os.write(self._sink, self._waiting) :]
