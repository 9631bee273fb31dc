"""What one node says it did: its trace file, read line by line."""

from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

BatchKey = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Sample:
    """A reading as taken: `time` in channel units since 2000, or None and `uptime_ms`."""

    channel: int
    value: int
    time: int | None
    uptime_ms: int
    unix_ms: int
    boot: int


@dataclass(slots=True)
class Boot:
    """One life of the node: the clock offsets it learnt (ms since 2000 at uptime 0), how it ended.

    `left`: what was sampled and not journalled when it ended.
    """

    offsets: list[int] = field(default_factory=list)
    left: list[Sample] = field(default_factory=list)
    orderly: bool = False


@dataclass(frozen=True, slots=True)
class Memory:
    """Heap in bytes after the imports and now; bytes sent and received on the UART."""

    imported: int = 0
    used: int = 0
    sent: int = 0
    received: int = 0


class Trace:
    """The account that one node gives of itself."""

    def __init__(self) -> None:
        """Begin with a node that has not started."""
        self.boots: list[Boot] = []
        self.batches: dict[BatchKey, list[Sample]] = {}
        self.sampled = 0
        self.journalled = 0
        self.damaged = 0
        self.latest: dict[int, int] = {}
        self.first_memory: Memory | None = None
        self.memory = Memory()
        self._past_sent = 0
        self._open: dict[int, deque[Sample]] = defaultdict(deque)

    @property
    def ended(self) -> bool:
        """Whether the last life ended in order, everything acknowledged."""
        return bool(self.boots) and self.boots[-1].orderly

    @property
    def link_bytes(self) -> int:
        """Bytes that the node put on the line in all its lives."""
        return self._past_sent + self.memory.sent

    def unsealed(self) -> list[Sample]:
        """Give what the present life has sampled and not yet journalled, in order of channels."""
        return [sample for queue in self._open.values() for sample in queue]

    def feed(self, line: str) -> BatchKey | None:
        """Take one line; give the key of the batch it announces. A damaged line is counted."""
        kind, *words = line.split() or [""]
        try:
            if kind == "s":
                self._sample(words)
            elif kind == "j":
                return self._journal(words)
            elif kind == "b":
                self._boot()
            elif kind == "y":
                self.boots[-1].offsets.append(int(words[0]))
            elif kind == "m":
                self._remember(words)
            elif kind == "e":
                self._end()
        except (ValueError, IndexError):
            self.damaged += 1
        return None

    def _boot(self) -> None:
        self._close()
        self.boots.append(Boot())

    def _sample(self, words: Sequence[str]) -> None:
        channel, when, value, unix_ms = words
        known = not when.startswith("u")
        sample = Sample(
            channel=int(channel),
            value=int(value),
            time=int(when) if known else None,
            uptime_ms=0 if known else int(when[1:]),
            unix_ms=int(unix_ms),
            boot=len(self.boots) - 1,
        )
        self._open[sample.channel].append(sample)
        self.latest[sample.channel] = sample.value
        self.sampled += 1

    def _journal(self, words: Sequence[str]) -> BatchKey:
        epoch, stream, seq, readings, *channels = (int(word) for word in words)
        if not channels:
            raise ValueError("a batch of no channel")
        rows = readings // len(channels)
        if any(len(self._open[channel]) < rows for channel in channels):
            raise ValueError("more journalled than sampled")
        batch = [self._open[channel].popleft() for channel in channels for _ in range(rows)]
        self.batches[epoch, stream, seq] = batch
        self.journalled += len(batch)
        return epoch, stream, seq

    def _remember(self, words: Sequence[str]) -> None:
        self.memory = Memory(*(int(word) for word in words[:4]))
        self.first_memory = self.first_memory or self.memory

    def _end(self) -> None:
        self._close()
        self.boots[-1].orderly = True

    def _close(self) -> None:
        """End a life: what it left unjournalled, and the bytes it had counted."""
        if self.boots:
            self.boots[-1].left = self.unsealed()
        self._open.clear()
        self._past_sent += self.memory.sent
        self.memory = Memory(self.memory.imported, self.memory.used)


class TraceFile:
    """A trace that is still being written: reads on from where it stopped, whole lines only."""

    def __init__(self, path: Path) -> None:
        """Follow `path`, which need not exist yet."""
        self.trace = Trace()
        self._path = path
        self._offset = 0
        self._rest = b""

    def read(self) -> list[BatchKey]:
        """Take the lines written since the last call; give the batches they announce."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._offset)
                data = file.read()
        except FileNotFoundError:
            return []
        self._offset += len(data)
        *lines, self._rest = (self._rest + data).split(b"\n")
        keys = (self.trace.feed(line.decode("ascii", "replace")) for line in lines)
        return [key for key in keys if key is not None]


def read_trace(path: Path) -> Trace:
    """Read a whole trace file; an absent one is that of a node which never started."""
    file = TraceFile(path)
    file.read()
    return file.trace
