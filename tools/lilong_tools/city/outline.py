"""The quick way to read records as gateways write them: all is checked, nothing is made of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import product

from lilong_tools.city.pack import (
    ABSOLUTE_S,
    LABELS,
    PLACES,
    RECORD_LIMIT,
    YEAR_10000_S,
    Identity,
    Pack,
    PackError,
    identity,
)

_BASE = ("bn", "bt", "batch", "store", "pos", "tq")
_HIGHEST = 10**PLACES
_NUMBERS = frozenset({int, Decimal})
Shape = tuple[object, ...]
"""The keys of a record in their order."""


@dataclass(frozen=True, slots=True)
class Outline:
    """What is kept of a batch beside its bytes; newest_ms is UNIX time, None without numbers."""

    identity: Identity
    newest_ms: int | None
    readings: int


def outline_of(pack: Pack) -> Outline:
    """Return the outline of a batch that was read whole."""
    which = Identity(
        pack.eui,
        pack.batch,
        pack.store,
        pack.position,
        pack.quality,
        pack.one_in,
        pack.late,
    )
    times = [record.time for record in pack.records]
    return Outline(which, _milliseconds(max(times)) if times else None, len(times))


class Form:
    """Where records have their fields: by name in JSON, by label in CBOR."""

    def __init__(self, *, labelled: bool) -> None:
        def key(name: str) -> object:
            return LABELS.get(name, name) if labelled else name

        self.name, self.unit, self.value, self.time, self.base_time = map(
            key, ("n", "u", "v", "t", "bt")
        )
        readings = [("n", *unit, "v") for unit in ((), ("u",))]
        self.records = {
            tuple(map(key, (*reading, *time))) for reading in readings for time in ((), ("t",))
        }
        heads = [
            (*_BASE, *thinned, *late, *reading)
            for thinned, late, reading in product(((), ("one_in",)), ((), ("late",)), readings)
        ]
        self.heads = {tuple(map(key, head)): head for head in heads}

    def outline(self, entries: Sequence[dict[object, object]]) -> Outline | None:
        """Return the outline of a batch; None: it is not of this form, or not right."""
        if not 0 < len(entries) <= RECORD_LIMIT:
            return None
        names = self.heads.get(tuple(entries[0]))
        newest = self._newest(entries) if names else None
        if names is None or newest is None:
            return None
        try:
            which = identity(dict(zip(names, entries[0].values(), strict=True)))
        except PackError:
            return None
        return Outline(which, _milliseconds(newest), len(entries))

    def _newest(self, entries: Sequence[dict[object, object]]) -> Decimal | None:
        """Return the time of the newest reading; None unless all times and values are right."""
        if not self.records.issuperset(map(tuple, entries[1:])):
            return None
        start = entries[0][self.base_time]
        times = [entry.get(self.time, 0) for entry in entries]
        numbers = [start, *times, *(entry[self.value] for entry in entries)]
        if not (self._are_named(entries) and _are_numbers(numbers)):
            return None
        newest = Decimal(start) + max(times)  # type: ignore[arg-type, type-var, operator]
        oldest = Decimal(start) + min(times)  # type: ignore[arg-type, type-var, operator]
        return newest if oldest >= ABSOLUTE_S and newest < YEAR_10000_S else None

    def _are_named(self, entries: Sequence[dict[object, object]]) -> bool:
        try:
            names = {entry[self.name] for entry in entries}
            units = {entry.get(self.unit, "") for entry in entries}
        except TypeError:  # what cannot be in a set is no text
            return False
        return "" not in names and all(type(text) is str for text in names | units)


def _are_numbers(values: Sequence[object]) -> bool:
    """Whether all are whole numbers or decimals of sensible size."""
    if not _NUMBERS.issuperset(map(type, values)):
        return False
    decimals = [value for value in values if isinstance(value, Decimal)]
    while decimals:
        first = decimals[0]
        exponent = first.as_tuple().exponent
        if not isinstance(exponent, int) or abs(exponent) > PLACES:
            return False
        # One look in C at each: as_tuple of each of 60 would take longer than reading them.
        decimals = [value for value in decimals if not value.same_quantum(first)]
    lowest, highest = min(values), max(values)  # type: ignore[type-var]
    return bool(-_HIGHEST < lowest <= highest < _HIGHEST)  # type: ignore[operator]


def _milliseconds(time: Decimal) -> int:
    return int(time * Decimal(1000))
