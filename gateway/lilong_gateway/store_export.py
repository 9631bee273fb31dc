"""What is stored, for people and programs on site: batch by batch, memory stays flat."""

import csv
import dataclasses
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from lilong_gateway import senml
from lilong_gateway.clock import UNIX_2000_MS
from lilong_gateway.privacy import Privacy
from lilong_gateway.selection import Selection
from lilong_gateway.store.cursors import last_position
from lilong_gateway.store.database import Database
from lilong_gateway.store.reader import rows_after
from lilong_gateway.store.records import Row
from lilong_gateway.uplink.renderer import Renderer

FORMATS = ("csv", "jsonl", "senml")
_PIECE = 500
_HEADER = ("time", "node", "stream", "batch", "channel", "unit", "value", "quality", "one_in")

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which readings: of nodes and channels, of these privacy classes, in UNIX ms from and to."""

    selection: Selection
    classes: frozenset[int]
    from_ms: int | None = None
    to_ms: int | None = None

    def covers(self, time: int, exponent: int) -> bool:
        """Whether a time is wanted; it counts in seconds (0) or milliseconds (-3)."""
        at_ms = time * 10 ** (3 + exponent)
        return (self.from_ms is None or at_ms >= self.from_ms) and (
            self.to_ms is None or at_ms < self.to_ms
        )


def export(database: Database, wanted: Wanted, form: str, progress: Progress) -> Iterator[str]:
    """Yield the text of all that is wanted, in pieces; StoreError. Writes nothing."""
    packs = _packs(database, wanted, progress)
    if form == "senml":
        yield from _senml(packs)
        return
    if form == "csv":
        yield _line(_HEADER)
    for pack in packs:
        for fields in _readings(pack):
            yield _line(fields) if form == "csv" else _object(fields)


def export_raw(database: Database, wanted: Wanted, progress: Progress) -> Iterator[str]:
    """Yield each wanted batch as it came, a line each: JSON with the item in hex."""
    for row in _rows(database, progress):
        if wanted.selection.takes(row.slot.eui, row.slot.stream):
            yield json.dumps(_raw(row)) + "\n"


def _rows(database: Database, progress: Progress) -> Iterator[Row]:
    with database.reading() as connection:
        last = last_position(connection)
    pos = 0
    while True:
        found = rows_after(database, pos, _PIECE)
        yield from found.rows
        if found.through <= pos:
            return
        pos = found.through
        progress(pos, last)


def _raw(row: Row) -> dict[str, object]:
    slot = row.slot
    received = None if row.received_ms is None else row.received_ms + UNIX_2000_MS
    return {
        "node": slot.eui.hex(),
        "epoch": slot.epoch,
        "stream": slot.stream,
        "seq": slot.seq,
        "quality": row.quality,
        "offset_ms": row.offset_ms,
        "received_unix_ms": received,
        "one_in": row.one_in,
        "descriptor": None if row.descriptor is None else row.descriptor.hex(),
        "item": row.item.hex(),
    }


def _packs(database: Database, wanted: Wanted, progress: Progress) -> Iterator[senml.Telemetry]:
    renderer = Renderer(Privacy(wanted.classes, ()), wanted.selection)
    for row in _rows(database, progress):
        telemetry = renderer.telemetry(row, database.store_id)
        if telemetry is not None:
            within = _within(telemetry, wanted)
            if within is not None:
                yield within


def _within(telemetry: senml.Telemetry, wanted: Wanted) -> senml.Telemetry | None:
    exponent = telemetry.time_exponent
    chosen = [index for index, time in enumerate(telemetry.times) if wanted.covers(time, exponent)]
    if len(chosen) == len(telemetry.times):
        return telemetry
    if not chosen:
        return None
    columns = [
        senml.Column(column.channel, [column.values[index] for index in chosen])
        for column in telemetry.columns
    ]
    times = [telemetry.times[index] for index in chosen]
    return dataclasses.replace(telemetry, times=times, columns=columns)


def _senml(packs: Iterator[senml.Telemetry]) -> Iterator[str]:
    """One SenML pack (RFC 8428): each batch begins anew with a base name and time."""
    before = "["
    for pack in packs:
        yield before + senml.write_json(pack).decode()[1:-1]
        before = ",\n"
    yield "[]\n" if before == "[" else "]\n"


def _readings(pack: senml.Telemetry) -> Iterator[tuple[str, ...]]:
    shared = (pack.eui.hex(), str(pack.stream), pack.batch)
    order = sorted(range(len(pack.times)), key=pack.times.__getitem__)
    for index in order:
        time = senml.digits(senml.Exact(pack.times[index], pack.time_exponent))
        for column in pack.columns:
            channel = column.channel
            value = senml.digits(senml.Exact(column.values[index], channel.exponent))
            told = (channel.name, channel.unit, value, pack.quality, str(pack.one_in))
            yield (time, *shared, *told)


def _line(fields: tuple[str, ...]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(fields)
    return text.getvalue()


def _object(fields: tuple[str, ...]) -> str:
    """All digits stay: numbers are written as they are, not by way of a float."""
    plain = {"time", "stream", "value", "one_in"}
    parts = (
        f"{json.dumps(name)}: {value if name in plain else json.dumps(value)}"
        for name, value in zip(_HEADER, fields, strict=True)
    )
    return "{" + ", ".join(parts) + "}\n"
