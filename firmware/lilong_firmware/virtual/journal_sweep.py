"""Cuts the power in every flash operation of a working journal and sees what is left each time.

usage: journal_sweep.py [SEED [SECTORS [ROUNDS]]]; prints one JSON object. CPython and MicroPython
run it alike.
"""

import json
import sys

from lilong_firmware.errors import JournalFullError
from lilong_firmware.journal import Journal
from lilong_firmware.virtual.nor import WAYS, Chance, Nor, PowerCutError
from lilong_protocol.frame import ALARM_STREAM, CONTROL_STREAM, DATA_STREAM, STREAMS
from lilong_protocol.portable import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

APPEND, ACKNOWLEDGE, LEAP, SETTLE = range(4)
_ROUND_STEPS = 8
_SIZES = (0, 1, 61, 110, 480, 480, 1000, 1000)
_STREAMS = (2, 2, 2, 2, 2, 3, 3, 1, 0)
_MOST_URGENT = 6


class WrongError(Exception):
    """The journal broke a promise."""


class Model:
    """What the journal has promised, kept where no power cut reaches."""

    def __init__(self) -> None:
        self.epoch: int | None = None
        self.items: list[dict[int, bytes]] = [{} for _ in range(STREAMS)]
        """Every item under its number, one that was on its way in a cut included."""
        self.promised = [0] * STREAMS
        """Numbers below these are used."""
        self.next_limit = [0] * STREAMS
        """No number from here on can have been used."""
        self.acknowledged = [0] * STREAMS
        self.held: set[tuple[int, int]] = set()
        """What must be there: complete, not acknowledged, and not to be thinned."""

    def copy(self) -> "Model":
        """Return one that goes its own way."""
        other = Model()
        other.epoch = self.epoch
        other.items = [dict(items) for items in self.items]
        other.promised = list(self.promised)
        other.next_limit = list(self.next_limit)
        other.acknowledged = list(self.acknowledged)
        other.held = set(self.held)
        return other


class Step:
    """One thing that a node or a gateway does; `number` chooses how much of it."""

    def __init__(self, kind: int, stream: int, number: int) -> None:
        self.kind = kind
        self.stream = stream
        self.number = number

    def run(self, journal: Journal, model: Model) -> None:
        """Do it, and note what is promised by it and when."""
        if self.kind == APPEND:
            self._append(journal, model)
        elif self.kind == ACKNOWLEDGE:
            held = journal.next(self.stream) - journal.first(self.stream)
            self._acknowledge(
                journal, model, journal.first(self.stream) + self.number % (held + 1)
            )
        elif self.kind == LEAP:
            upto = journal.next(self.stream) + 1 + self.number % 9
            model.next_limit[self.stream] = upto
            self._acknowledge(journal, model, upto)
            model.promised[self.stream] = upto
        else:
            journal.settle()

    def _append(self, journal: Journal, model: Model) -> None:
        stream = self.stream
        seq = journal.next(stream)
        item = item_of(stream, seq, self.number)
        model.items[stream][seq] = item
        model.next_limit[stream] = seq + 1
        try:
            given = journal.append(stream, item, (7, self.number, stream))
        except JournalFullError:
            return
        if given != seq:
            raise WrongError("a number that was not announced")
        model.promised[stream] = seq + 1
        model.held.add((stream, seq))

    def _acknowledge(self, journal: Journal, model: Model, upto: int) -> None:
        model.acknowledged[self.stream] = max(model.acknowledged[self.stream], upto)
        model.held = {
            (stream, seq) for stream, seq in model.held if seq >= model.acknowledged[stream]
        }
        journal.acknowledged(self.stream, upto)


def item_of(stream: int, seq: int, number: int) -> bytes:
    """Return an item that no other batch has, and that at times looks like a record."""
    size = _SIZES[number % len(_SIZES)]
    word = b"\xb5%c%c\0" % (stream, seq & 0xFF) + b"%d.%d." % (stream, seq)
    return (word * (size // len(word) + 1))[:size]


def steps(chance: Chance, journal: Journal) -> "Iterator[Step]":
    """Yield what happens in one round, from one start of the node to the next."""
    for _ in range(_ROUND_STEPS):
        luck = chance.below(100)
        number = chance.below(1 << 16)
        stream = _STREAMS[chance.below(len(_STREAMS))]
        for urgent in (ALARM_STREAM, CONTROL_STREAM):
            if journal.next(urgent) - journal.first(urgent) > _MOST_URGENT:
                yield Step(ACKNOWLEDGE, urgent, number)
        if luck < 88:
            yield Step(APPEND, stream, number)
        elif luck < 94:
            yield Step(ACKNOWLEDGE, stream, number)
        elif luck < 97:
            yield Step(LEAP, stream, number)
        else:
            yield Step(SETTLE, 0, 0)


class Sweep:
    """A flash, its journal in use, and a cut in each operation of it."""

    def __init__(self, seed: int, sectors: int) -> None:
        self._chance = Chance(seed)
        self._random = self._chance.bytes
        self._flash = Nor(sectors)
        self._tested = Nor(sectors)
        self._model = Model()
        self.tried = 0
        self.problems: list[str] = []
        self.dropped = 0

    def run(self, rounds: int) -> None:
        """Work; after each start of the node, do everything again with cuts."""
        for _ in range(rounds):
            before = bytes(self._flash.data)
            model = self._model.copy()
            journal = self._start(self._flash, self._model)
            history = []
            for step in steps(self._chance, journal):
                begun = self._flash.operations
                step.run(journal, self._model)
                self._thin(journal)
                history.append((step, self._flash.operations - begun, set(self._model.held)))
            self._cut_all(before, model, history)

    def _start(self, flash: Nor, model: Model) -> Journal:
        """Start the node and bring it a WELCOME, as a gateway does that knows everything."""
        journal = Journal(flash, self._random)
        if model.epoch is None:
            model.epoch = journal.epoch
        for stream in range(STREAMS):
            if model.acknowledged[stream] > journal.next(stream):
                # It is made durable at once, for which others may have to make room.
                _only_urgent(model)
            journal.acknowledged(stream, model.acknowledged[stream])
        return journal

    def _thin(self, journal: Journal) -> None:
        """Take out of the model what gave way; alarms and control never may."""
        gone = set()
        for stream, seq in self._model.held:
            if journal.read(stream, seq) is None:
                if stream < DATA_STREAM:
                    raise WrongError("an alarm gave way")
                gone.add((stream, seq))
        self._model.held -= gone
        self.dropped += len(gone)

    def _cut_all(
        self, before: bytes, model: Model, history: "list[tuple[Step, int, set[tuple[int, int]]]]"
    ) -> None:
        operations = 0
        for _, count, _ in history:
            operations += count
        # The start itself may program or erase, too.
        for cut in range(operations + 2):
            for way in WAYS:
                self._cut(before, model.copy(), history, cut, way)

    def _cut(
        self,
        before: bytes,
        model: Model,
        history: "list[tuple[Step, int, set[tuple[int, int]]]]",
        cut: int,
        way: str,
    ) -> None:
        """Do a round again until the power goes, look at what is left, and cut once more."""
        flash = self._tested
        flash.data[:] = before
        flash.cut_after(cut, way, seed=1 + self.tried)
        try:
            journal = self._start(flash, model)
            for step, _, held in history:
                # What this step thins may be gone before it ends.
                model.held &= held
                step.run(journal, model)
        except PowerCutError:
            self._examine(model)

    def _examine(self, model: Model) -> None:
        flash = self._tested
        flash.cut_after(None)
        left = bytes(flash.data)
        self._judge(model.copy())
        for again in range(3):
            flash.data[:] = left
            second = WAYS[(self.tried + again) % len(WAYS)]
            flash.cut_after(again, second, seed=1 + self.tried)
            known = model.copy()
            try:
                self._go_on(self._start(flash, known), known)
            except PowerCutError:
                flash.cut_after(None)
                self._judge(known)
            flash.cut_after(None)

    def _judge(self, model: Model) -> None:
        self.tried += 1
        try:
            journal = Journal(self._tested, self._random)
            check(journal, model)
            self._go_on(self._start(self._tested, model), model)
            check(Journal(self._tested, self._random), model)
        except (WrongError, ValueError, IndexError) as error:
            self.problems.append("cut " + str(self.tried) + ": " + repr(error))

    @staticmethod
    def _go_on(journal: Journal, model: Model) -> None:
        for stream in range(STREAMS):
            _only_urgent(model)
            Step(APPEND, stream, 3).run(journal, model)


def _only_urgent(model: Model) -> None:
    """Data and bulk may be thinned from here on."""
    model.held = {(stream, seq) for stream, seq in model.held if stream < DATA_STREAM}


def check(journal: Journal, model: Model) -> None:
    """WrongError unless a journal shows what was promised, and nothing else."""
    if model.epoch is not None and journal.epoch != model.epoch:
        raise WrongError("another epoch")
    for stream in range(STREAMS):
        if journal.next(stream) < model.promised[stream]:
            raise WrongError("a number would come again")
        if journal.next(stream) > max(model.promised[stream], model.next_limit[stream]):
            raise WrongError("a number was left out")
        for seq in range(journal.next(stream)):
            item = journal.read(stream, seq)
            if item is None and (stream, seq) in model.held:
                raise WrongError("batch %d of stream %d is missing" % (seq, stream))
            if item is not None and item != model.items[stream].get(seq):
                raise WrongError("batch %d of stream %d is another" % (seq, stream))


def main(seed: int = 1, sectors: int = 4, rounds: int = 10) -> None:
    """Sweep and print."""
    sweep = Sweep(seed, sectors)
    sweep.run(rounds)
    found = {
        "tried": sweep.tried,
        "failed": len(sweep.problems),
        "dropped": sweep.dropped,
        "problems": sweep.problems[:5],
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main(*[int(word) for word in sys.argv[1:]])
