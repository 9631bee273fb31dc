"""Runs on MicroPython: the whole node for a long time, on a virtual clock, with its gateway.

usage: week.py SECONDS [measure], in a state folder; prints one JSON object. With `measure` the
code that the node loads as it starts is there before. Everything of the node
is real but its ticks and its line; the gateway is a GatewaySession in the same process, a stored
batch is counted and forgotten. Six hours of each day the gateway is silent.
"""

import gc
import io
import json
import os
import sys


def _used() -> int:
    """Return the bytes of heap in use, after a collection."""
    gc.collect()
    return gc.mem_alloc()


# What each part of the code takes is measured as it is loaded.
USED = [_used()]
from jumping import VirtualTime, take_over, ticks_diff  # noqa: E402

TIME = take_over()
# Frozen into the base image, as on the device; no part of the application.
from loader import Loader  # noqa: E402

USED.append(_used())
import asyncio  # noqa: E402

from lilong_firmware.app import App, unload_start  # noqa: E402
from lilong_firmware.board import Board  # noqa: E402
from lilong_firmware.clock import Clock  # noqa: E402

if len(sys.argv) > 2:
    # Only to measure what stays of the code when the node runs: a start unloads it half by half.
    for half in ("preparation", "assembly"):
        __import__("lilong_firmware." + half)
    unload_start()
USED.append(_used())
from lilong_protocol.events import (  # noqa: E402
    Advanced,
    BatchReceived,
    Described,
    HelloReceived,
)
from lilong_protocol.gateway_session import GatewaySession  # noqa: E402
from lilong_protocol.serial import FrameReader, wrap  # noqa: E402

_POLL = 3
_READABLE = 1
_DELAY_MS = 8
_BUFFER_BYTES = 2048
_PIECE_BYTES = 256
_PROBE_MS = 3600000
_DAY_MS = 86400000
_OUTAGE_MS = 21600000
_CLOCK_MS = 848000000000
_GAINS_PPM = 30


class Line(io.IOBase):
    """The node's UART; what the node writes is the gateway's, and the other way round."""

    def __init__(self) -> None:
        self._sent = memoryview(bytearray(_BUFFER_BYTES))
        self._sent_bytes = 0
        self.to_node = bytearray()
        self.written = asyncio.Event()

    def read(self, limit: int) -> "bytes | None":
        data = bytes(self.to_node[:limit])
        self.to_node = self.to_node[limit:]
        return data or None

    def write(self, data: "bytes | memoryview") -> "int | None":
        begin = self._sent_bytes
        taken = min(_BUFFER_BYTES - begin, len(data))
        if taken == 0:
            return None
        self._sent[begin : begin + taken] = data[:taken]
        self._sent_bytes = begin + taken
        self.written.set()
        return taken

    def pieces(self):  # noqa: ANN201 - no typing on MicroPython
        """Give what the node has written, little by little, and make room."""
        for begin in range(0, self._sent_bytes, _PIECE_BYTES):
            yield self._sent[begin : min(begin + _PIECE_BYTES, self._sent_bytes)]
        self._sent_bytes = 0

    def ioctl(self, request: int, flags: int) -> int:
        if request == _POLL:
            return _READABLE & flags if self.to_node else 0
        return -1


class Gateway:
    """Answers the node, and keeps of each batch that it came."""

    def __init__(self, key: bytes, line: Line, time: VirtualTime) -> None:
        self._line = line
        self._time = time
        self._frames = FrameReader()
        self._session = GatewaySession(lambda _eui: [key], os.urandom)
        self._held = [0, 0, 0, 0]
        self.batches = 0
        self.lost = 0
        self.boots = 0

    async def run(self) -> None:
        while True:
            await self._line.written.wait()
            self._line.written.clear()
            await asyncio.sleep_ms(_DELAY_MS)
            now_ms = self._time.elapsed_ms
            silent = now_ms > _DAY_MS and now_ms % _DAY_MS < _OUTAGE_MS
            for piece in self._line.pieces():
                if not silent:
                    self._hear(piece, now_ms)
            while not silent:
                frame = self._session.poll(now_ms)
                if frame is None:
                    break
                self._line.to_node.extend(wrap(frame))

    def _hear(self, piece: memoryview, now_ms: int) -> None:
        for frame in self._frames.feed(piece):
            for event in self._session.receive(frame, now_ms):
                self._take(event, now_ms)
        self._frames.take_text()

    def _take(self, event: object, now_ms: int) -> None:
        if isinstance(event, HelloReceived):
            told_ms = _CLOCK_MS + now_ms + now_ms * _GAINS_PPM // 1000000
            self.boots += 1
            self._session.accept(event.hello, self._held, told_ms, now_ms, descriptor_known=False)
        elif isinstance(event, Described):
            self._session.described()
        elif isinstance(event, Advanced):
            self.lost += event.missing
            self._held[event.stream] = event.first
            self._session.advanced(event.epoch, event.stream, event.first)
        elif isinstance(event, BatchReceived):
            self.batches += 1
            self._held[event.stream] = event.seq + 1
            self._session.stored(event.epoch, event.stream, event.seq)


class Dog:
    """Counts how often it was fed."""

    def __init__(self) -> None:
        self.fed = 0

    def feed(self) -> None:
        self.fed += 1


class WeekBoard(Board):
    """A board on the virtual clock; a reset ends the run."""

    def __init__(self, time: VirtualTime, line: Line) -> None:
        super().__init__()
        self._time = time
        self._line = line
        self.dog = Dog()
        self.resets = 0
        self.started = None

    @property
    def may_stop(self) -> bool:
        return False

    def clock(self) -> Clock:
        return Clock(self._time.ticks_ms, ticks_diff)

    def uart(self, running: object, usual: object) -> Line:
        return self._line

    def watchdog(self, timeout_ms: int) -> Dog:
        asyncio.create_task(self.started)
        return self.dog

    def reset(self) -> None:
        self.resets += 1
        sys.exit(75)


class Probe:
    """Looks at the heap every hour, and ends the run."""

    def __init__(self, board: WeekBoard, gateway: Gateway, time: VirtualTime, until_ms: int):
        self._board = board
        self._gateway = gateway
        self._time = time
        self._until_ms = until_ms
        self._heap: list[int] = []
        self._tasks = (gateway.run(), self.run())

    async def start(self) -> None:
        for task in self._tasks:
            asyncio.create_task(task)

    async def run(self) -> None:
        while self._time.elapsed_ms < self._until_ms:
            await asyncio.sleep_ms(min(_PROBE_MS, self._until_ms))
            self._heap.append(_used())
        gateway = self._gateway
        found = {"seconds": self._time.elapsed_ms // 1000, "heap": self._heap}
        found["code"] = USED[2] - USED[1]
        found["harness"] = USED[1] - USED[0] + USED[3] - USED[2]
        found["imported"] = USED[3]
        found["batches"] = gateway.batches
        found["batches_given_up"] = gateway.lost
        found["sessions"] = gateway.boots
        found["watchdog_fed"] = self._board.dog.fed
        print(json.dumps(found))
        sys.exit(0)


def main(seconds: int) -> None:
    """Run the node of the current folder for so long."""
    time = TIME
    line = Line()
    with open("key.bin", "rb") as file:
        gateway = Gateway(file.read(), line, time)
    board = WeekBoard(time, line)
    probe = Probe(board, gateway, time, seconds * 1000)
    board.started = probe.start()
    App(board, Loader().choose()).run()


if __name__ == "__main__":
    gc.threshold(32768)
    USED.append(_used())
    main(int(sys.argv[1]))
