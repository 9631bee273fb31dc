"""An outbox in memory: for benches and for nodes that may forget."""

from lilong_protocol.frame import STREAMS


class MemoryOutbox:
    """Keeps batches until they are acknowledged; a capacity makes the oldest give way."""

    def __init__(self, epoch: int, capacity: int = 1 << 30) -> None:
        self.epoch = epoch
        self._capacity = capacity
        self._first = [0] * STREAMS
        self._items: list[list[bytes]] = [[] for _ in range(STREAMS)]

    def append(self, stream: int, item: bytes) -> int:
        """Keep a batch; return its sequence number."""
        self._items[stream].append(item)
        if len(self._items[stream]) > self._capacity:
            self._items[stream].pop(0)
            self._first[stream] += 1
        return self.next(stream) - 1

    def first(self, stream: int) -> int:
        """Return the lowest sequence number that is held."""
        return self._first[stream]

    def next(self, stream: int) -> int:
        """Return the sequence number that the next batch will get."""
        return self._first[stream] + len(self._items[stream])

    def read(self, stream: int, seq: int) -> "bytes | None":
        """Return a held batch, None for any other."""
        index = seq - self._first[stream]
        return self._items[stream][index] if 0 <= index < len(self._items[stream]) else None

    def acknowledged(self, stream: int, next: int) -> None:  # noqa: A002 - the protocol's own word
        """Let go of everything below next."""
        done = max(0, next - self._first[stream])
        self._items[stream] = self._items[stream][done:]
        self._first[stream] = max(next, self._first[stream])
