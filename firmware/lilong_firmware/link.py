"""Runs a NodeSession over a stream: what is read goes in, what is due goes out."""

import asyncio

from lilong_protocol.portable import TYPE_CHECKING, const
from lilong_protocol.serial import FrameReader, wrap

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from lilong_firmware.clock import Clock
    from lilong_firmware.supervision import Duty
    from lilong_protocol.node_events import Event
    from lilong_protocol.node_session import NodeSession

    class Reader(Protocol):
        """asyncio.StreamReader."""

        async def read(self, n: int) -> bytes:
            """Return what has arrived, at most n bytes; wait for the first."""

    class Writer(Protocol):
        """machine.UART and what behaves like it."""

        def write(self, data: "bytes | memoryview") -> "int | None":
            """Return how many bytes were taken; None or 0 when none can be."""


_CHUNK_BYTES = const(512)
_SILENCE_MS = const(100)
_STALL_MS = const(2000)
_LOST_MS = const(-100000)
_PATIENCE_S = const(5.0)
_SHORTEST_S = const(0.005)
_FULL_S = const(0.02)
_BROKEN_S = const(0.2)
_BROKEN_MS = const(600000)


class Link:
    """One serial line. `receive` and `send` are its two duties; `wake` is set to make send look.

    A frame that the line does not take for two seconds is dropped, counted, and left to the
    session's own repeats: the line is full because nobody reads it.
    """

    def __init__(
        self,
        reader: "Reader",
        writer: "Writer",
        session: "NodeSession",
        clock: "Clock",
        wake: asyncio.Event,
        on_event: "Callable[[Event], None]",
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._session = session
        self._clock = clock
        self._wake = wake
        self._on_event = on_event
        self._frames = FrameReader()
        self._last_sent_ms: int = _LOST_MS
        self._sound_ms = 0
        self.sent_bytes = 0
        self.received_bytes = 0
        self.counters = {"stalled": 0, "broken": 0}

    @property
    def damaged(self) -> int:
        """Pieces of the line that were no frame, although not all of them was text."""
        return self._frames.damaged + self._frames.oversized

    async def receive(self, duty: "Duty") -> None:
        """Feed the session with what arrives, for ever.

        Silence is progress, since there may be no gateway; a line that cannot be read for ten
        minutes is none.
        """
        self._sound_ms = self._clock.uptime_ms()
        while True:
            if self._clock.uptime_ms() - self._sound_ms < _BROKEN_MS:
                duty.beat()
            data = await self._read()
            self.received_bytes += len(data)
            for frame in self._frames.feed(data):
                self._tell(self._session.receive(frame, self._clock.uptime_ms()))
                self._wake.set()
            self._frames.take_text()

    async def send(self, duty: "Duty") -> None:
        """Write what the session has due, for ever."""
        while True:
            duty.beat()
            now_ms = self._clock.uptime_ms()
            frame = self._session.poll(now_ms)
            self._tell(self._session.events())
            if frame is None:
                await self._rest(self._session.due_ms(now_ms))
            else:
                leading = now_ms - self._last_sent_ms > _SILENCE_MS
                await self._write(wrap(frame, leading=leading))
                # Lets the receiving duty in between the frames of a full window.
                await asyncio.sleep(0)

    async def _read(self) -> bytes:
        """Return what has arrived, nothing after some seconds of silence."""
        data = b""
        try:
            data = await asyncio.wait_for(self._reader.read(_CHUNK_BYTES), _PATIENCE_S) or b""
        except asyncio.TimeoutError:  # noqa: UP041 - no builtin of MicroPython
            pass
        except OSError:
            self.counters["broken"] += 1
            await asyncio.sleep(_BROKEN_S)
            return data
        self._sound_ms = self._clock.uptime_ms()
        return data

    async def _rest(self, due_ms: int) -> None:
        self._wake.clear()
        seconds = max(_SHORTEST_S, min(_PATIENCE_S, due_ms / 1000))
        try:
            await asyncio.wait_for(self._wake.wait(), seconds)
        except asyncio.TimeoutError:  # noqa: UP041 - no builtin of MicroPython
            return

    async def _write(self, data: bytes) -> None:
        left = memoryview(data)
        moved_ms = self._clock.uptime_ms()
        while left:
            taken = self._take(left)
            now_ms = self._clock.uptime_ms()
            if taken:
                self.sent_bytes += taken
                self._last_sent_ms = moved_ms = now_ms
                left = left[taken:]
            elif now_ms - moved_ms > _STALL_MS:
                self.counters["stalled"] += 1
                self._last_sent_ms = _LOST_MS
                return
            else:
                await asyncio.sleep(_FULL_S)

    def _take(self, data: memoryview) -> int:
        try:
            return self._writer.write(data) or 0
        except OSError:
            self.counters["broken"] += 1
            return 0

    def _tell(self, events: "list[Event]") -> None:
        for event in events:
            self._on_event(event)
