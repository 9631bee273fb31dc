"""A BLE connection as a line of values: frames in and out, whatever carries the values."""

import asyncio
from collections import deque
from collections.abc import Callable

from lilong_gateway.errors import LinkLostError
from lilong_protocol.pieces import PieceReader, PieceWriter

UNANSWERED_BYTES = 512
"""Written at most before a write that the node has to answer (SPEC section 15.1)."""

_QUEUED_BYTES = 1024
_KEPT_BYTES = 1 << 16
"""Beyond any window of a node: who sends more without being read is dropped."""


class ValueLine:
    """Knows no radio. on_change is called when values have come, or room, or it is lost."""

    def __init__(self, port: str, on_change: Callable[[], None]) -> None:
        self.port = port
        self.received_bytes = 0
        self._on_change = on_change
        self._reader = PieceReader()
        self._writer = PieceWriter()
        self._values: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._unanswered = 0
        self._settling = False
        self.settled = False
        """Whether the node has taken all that was written before settle()."""
        self._queued = asyncio.Event()
        self._lost: str | None = None

    @property
    def counters(self) -> dict[str, int]:
        """What was wrong with the pieces that came."""
        return {"damaged": self._reader.damaged, "oversized": self._reader.oversized}

    @property
    def ready(self) -> bool:
        """Whether write takes a frame."""
        return self._lost is None and self._writer.pending < _QUEUED_BYTES

    def read(self) -> list[bytes]:
        """Return the frames that have come; LinkLostError once all were read and it is lost."""
        if not self._values and self._lost is not None:
            raise LinkLostError(self.port, self._lost)
        frames: list[bytes] = []
        while self._values:
            frames += self._reader.feed(self._values.popleft())
        self._waiting_bytes = 0
        return frames

    def write(self, frame: bytes) -> None:
        """Queue a frame; LinkLostError once the line is lost."""
        if self._lost is not None:
            raise LinkLostError(self.port, self._lost)
        self._writer.put(frame)
        self._queued.set()

    def settle(self) -> None:
        """Have what is queued now answered by the node; nothing may be written after that."""
        self._settling = True
        self._queued.set()

    def take(self, value: bytes) -> None:
        """Take a value from the node."""
        if self._lost is not None:
            return
        self.received_bytes += len(value)
        self._waiting_bytes += len(value)
        self._values.append(value)
        if self._waiting_bytes > _KEPT_BYTES:
            self.lose("sends more than was asked for")
        self._on_change()

    def lose(self, reason: str) -> None:
        """Note that nothing comes or goes any more."""
        if self._lost is None:
            self._lost = reason
            self._on_change()

    async def next_value(self, size: int) -> tuple[bytes, bool]:
        """Wait for something to send; return a value, and whether the node must answer it."""
        while not self._writer.waiting:
            self._queued.clear()
            self.settled = self._settling
            self._on_change()
            await self._queued.wait()
        value = self._writer.take(size)
        last = self._settling and not self._writer.waiting
        answered = last or self._unanswered + len(value) > UNANSWERED_BYTES
        self._unanswered = 0 if answered else self._unanswered + len(value)
        return value, answered
