"""One node's trace against what the gateway stored of it, reading by reading."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from lilong_protocol.blocks import decode_block
from lilong_tools.bench.ble.watch import ALARMS, DATA, Stored
from lilong_tools.demo.trace import BatchKey, Sample, Trace, TraceFile

Reading = tuple[int, bool, int, int]
"""Channel, whether the time is an uptime, time, value."""


class AlarmTrace(Trace):
    """A trace with the batches of alarms aside: what these hold is sampled elsewhere, or not."""

    def __init__(self, level: int) -> None:
        """Take what value of channel 0 is an alarm."""
        super().__init__()
        self.alarm_keys: list[BatchKey] = []
        self.alarm_ms: int | None = None
        """The UNIX time at which its first alarm was sampled."""
        self.acknowledged: dict[tuple[int, int], int] = {}
        """What the node has given up of each epoch and stream: all below."""
        self.first_ms: int | None = None
        """That of its first reading."""
        self._level = level

    def feed(self, line: str) -> BatchKey | None:
        """Take one line; give the key of the batch of data it announces."""
        kind, *words = line.split() or [""]
        if kind == "j" and words[1:2] == [str(ALARMS)]:
            self.alarm_keys.append((int(words[0]), ALARMS, int(words[2])))
            return None
        if kind == "a":
            self.acknowledged[int(words[0]), int(words[1])] = int(words[2])
        if kind == "s" and words[0] == "0":
            self._note(int(words[2]), int(words[3]))
        return super().feed(line)

    def _note(self, value: int, unix_ms: int) -> None:
        self.first_ms = self.first_ms or unix_ms
        if self.alarm_ms is None and value >= self._level:
            self.alarm_ms = unix_ms


def follow(path: Path, level: int) -> tuple[TraceFile, AlarmTrace]:
    """Return the trace of a node, to be read again and again."""
    file, trace = TraceFile(path), AlarmTrace(level)
    file.trace = trace
    return file, trace


@dataclass(slots=True)
class Account:
    """Readings by their fate.

    lost: in no batch of the gateway, while their node has given them up; an alarm's count too.
    waiting: still in a journal. unsealed: in none yet. duplicated: twice there, or never taken.
    """

    sampled: int = 0
    lost: int = 0
    waiting: int = 0
    unsealed: int = 0
    duplicated: int = 0

    def add(self, trace: AlarmTrace, stored: Iterable[Stored]) -> None:
        """Add one node."""
        batches = {batch.key: batch for batch in stored}
        came = Counter(
            reading
            for batch in batches.values()
            if batch.stream == DATA
            for reading in _held(batch.item)
        )
        taken = Counter(_taken(sample) for batch in trace.batches.values() for sample in batch)
        self.sampled += trace.sampled
        self.unsealed += trace.sampled - taken.total()
        self.duplicated += (came - taken).total()
        missing = [(key, 1) for key in trace.alarm_keys if key not in batches]
        missing += [
            (key, len(batch)) for key, batch in trace.batches.items() if key not in batches
        ]
        for (epoch, stream, seq), count in missing:
            if seq < trace.acknowledged.get((epoch, stream), 0):
                self.lost += count
            else:
                self.waiting += count
        # What is in a batch that came, and is not what was taken.
        held = Counter(
            _taken(sample)
            for key, batch in trace.batches.items()
            if key in batches
            for sample in batch
        )
        self.lost += (held - came).total()


def _held(item: bytes) -> Iterable[Reading]:
    block = decode_block(item)
    for channel, values in block.columns:
        for time, value in zip(block.times, values, strict=True):
            yield channel, block.boot is not None, time, value


def _taken(sample: Sample) -> Reading:
    uptime = sample.time is None
    return sample.channel, uptime, sample.time or sample.uptime_ms, sample.value
