"""The duty that turns what a source gives into batches in the journal."""

import asyncio

from lilong_firmware.errors import StorageError
from lilong_protocol.frame import DATA_STREAM
from lilong_protocol.portable import TYPE_CHECKING, const

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from lilong_firmware.batcher import Batcher
    from lilong_firmware.clock import Clock
    from lilong_firmware.journal import Journal
    from lilong_firmware.row import Row
    from lilong_firmware.supervision import Duty
    from lilong_firmware.trace import Trace

    class Source(Protocol):
        """A Sampler or a Replay."""

        ended: bool
        patient: bool
        """Whether what is due may wait until the journal has room for it."""

        mark: tuple[int, int, int]
        """Where the source stands, see batcher.Mark."""

        @property
        def failed(self) -> int:
            """Readings that the source could not give."""

        def rows(self, uptime_ms: int) -> "list[Row]":
            """Return what is due."""

        def wait_ms(self, uptime_ms: int) -> int:
            """Return the milliseconds until something is due."""

        def close(self) -> None:
            """Give back what is open."""


# Well within the time after which a duty is taken for stalled.
_LONGEST_MS = const(15000)
_CROWDED_MS = const(20)


class Shelf:
    """Puts sealed batches into the journal and tells who wants to know."""

    def __init__(
        self,
        journal: "Journal",
        trace: "Trace",
        wake: asyncio.Event,
        log: "Callable[[str], None]",
        stream: int = DATA_STREAM,
    ) -> None:
        self._journal = journal
        self._trace = trace
        self._wake = wake
        self._log = log
        self._stream = stream
        self.lost = 0
        """Readings that the journal would not take."""

    def put(
        self, item: bytes, channels: "tuple[int, ...]", rows: int, mark: "tuple[int, int, int]"
    ) -> None:
        """Make a batch durable; one that flash refuses is counted and said once."""
        try:
            seq = self._journal.append(self._stream, item, mark)
        except StorageError as error:
            if self.lost == 0:
                self._log("batch lost: " + str(error))
            self.lost += rows * len(channels)
            return
        self._trace.journalled(self._journal.epoch, self._stream, seq, channels, rows)
        self._wake.set()


class Collection:
    """Runs one source until it ends or is stopped; then everything is sealed."""

    def __init__(
        self,
        source: "Source",
        batcher: "Batcher",
        journal: "Journal",
        trace: "Trace",
        clock: "Clock",
        listen: "Callable[[int, int | None, int], None] | None" = None,
    ) -> None:
        self._source = source
        self._batcher = batcher
        self._journal = journal
        self._trace = trace
        self._clock = clock
        self._listen = listen
        self._stopping = False
        self.ended = False
        """Whether everything that was read is in the journal and no more will come."""

    @property
    def failed(self) -> int:
        """Readings that the source could not give or that no block can hold."""
        return self._source.failed + self._batcher.unencodable

    async def run(self, duty: "Duty") -> None:
        """Take rows when they are due."""
        while not (self._stopping or self._source.ended):
            duty.beat()
            wait_ms = self.step()
            await asyncio.sleep(wait_ms / 1000)
        self.stop()

    def stop(self) -> None:
        """Read no more, and make durable what was read."""
        self._stopping = True
        if not self.ended:
            self._source.close()
            self._batcher.flush()
            self.ended = True

    def step(self) -> int:
        """Take what is due, seal what is old; return the milliseconds to wait."""
        now_ms = self._clock.uptime_ms()
        if self._source.patient and self._journal.crowded:
            self._batcher.expire(now_ms)
            return _CROWDED_MS
        rows = self._source.rows(now_ms)
        self._show(rows)
        for row in rows:
            self._trace.sampled(row)
            self._batcher.add(row)
        self._batcher.expire(now_ms)
        wait_ms = min(self._source.wait_ms(now_ms), self._batcher.wait_ms(now_ms))
        return min(_LONGEST_MS, wait_ms)

    def _show(self, rows: "list[Row]") -> None:
        """Let rules see what was read, before flash takes its time."""
        if self._listen is None:
            return
        for row in rows:
            for channel, value in row.readings:
                self._listen(channel, value, row.uptime_ms)
