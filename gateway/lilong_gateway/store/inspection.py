"""Everything in a store, looked at: what `lilong-gateway store check` has to say."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from lilong_gateway.finding import FAILED, OK, WARNING, Finding
from lilong_gateway.store import soundness
from lilong_gateway.store.checksum import row_sum
from lilong_gateway.store.cursors import last_position
from lilong_gateway.store.damage import asides, parts
from lilong_gateway.store.database import Database
from lilong_gateway.store.schema import SUMMED
from lilong_gateway.store.summary import Summary, summary

_PIECE = 500
_ROWS = f"""SELECT {soundness.COLUMNS}, s.next, b.seq FROM batch b
    LEFT JOIN node n ON n.id = b.node
    LEFT JOIN stream s ON s.node = b.node AND s.epoch = b.epoch AND s.stream = b.stream
    WHERE b.pos > ? ORDER BY b.pos LIMIT ?"""  # noqa: S608 - our own names
_RESTART = "restart the gateway: it saves what can be read into a new file"
_ORPHANS = {
    "descriptor": "SELECT COUNT(*) FROM descriptor WHERE node NOT IN (SELECT id FROM node)",
    "stream": "SELECT COUNT(*) FROM stream WHERE node NOT IN (SELECT id FROM node)",
    "boot": "SELECT COUNT(*) FROM boot WHERE node NOT IN (SELECT id FROM node)",
    "quarantine": "SELECT COUNT(*) FROM quarantine WHERE node NOT IN (SELECT id FROM node)",
}

Progress = Callable[[int, int], None]
"""Called with how many rows were looked at, and how many there are."""


def inspect(database: Database, sinks: Sequence[str], progress: Progress) -> Iterator[Finding]:
    """Look at all of a store, one finding each; StoreError. Writes nothing."""
    yield _pages(database)
    yield from _rows(database, progress)
    yield from _small_rows(database)
    yield from _cursors(database, sinks)
    told = summary(database, sinks)
    yield _size(told)
    yield _quarantine(told)
    yield _aside(database)
    yield _autonomy(told)


def _pages(database: Database) -> Finding:
    with database.reading() as connection:
        wrong = [row[0] for row in connection.execute("PRAGMA integrity_check(5)")]
    if wrong != ["ok"]:
        return Finding("pages", str(database.file), FAILED, f"{'; '.join(wrong)}; {_RESTART}")
    return Finding("pages", str(database.file), OK, "")


def _rows(database: Database, progress: Progress) -> Iterator[Finding]:
    wrong: Counter[str] = Counter()
    pos, looked_at = 0, 0
    with database.reading() as connection:
        last = last_position(connection)
        while found := connection.execute(_ROWS, (pos, _PIECE)).fetchall():
            for *fields, next_seq, _ in found:
                wrong.update(_wrong(fields, next_seq, database.unsummed))
            pos = found[-1][0]
            looked_at += len(found)
            progress(pos, last)
    if wrong["damaged"]:
        advice = f"{wrong['damaged']} damaged; the gateway moves them to quarantine when it runs"
        yield Finding("batches", str(looked_at), FAILED, advice)
    elif wrong["stray"]:
        advice = f"{wrong['stray']} of streams that the store does not know; {_RESTART}"
        yield Finding("batches", str(looked_at), FAILED, advice)
    else:
        yield Finding("batches", str(looked_at), OK, "each is what was written")


def _wrong(fields: Sequence[Any], next_seq: object, unsummed: int) -> list[str]:
    found = [] if soundness.is_sound(fields, unsummed) else ["damaged"]
    return found if isinstance(next_seq, int) else [*found, "stray"]


def _small_rows(database: Database) -> Iterator[Finding]:
    for table, fields in SUMMED.items():
        with database.reading() as connection:
            query = f"SELECT sum, {fields} FROM {table}"  # noqa: S608 - our own names
            found = connection.execute(query).fetchall()
        wrong = sum(sum_ != row_sum(*rest) for sum_, *rest in found)
        if wrong:
            yield Finding(f"{table}s", str(len(found)), FAILED, f"{wrong} damaged; {_RESTART}")
    with database.reading() as connection:
        orphans = [
            table for table, query in _ORPHANS.items() if connection.execute(query).fetchone()[0]
        ]
        nodes = connection.execute("SELECT COUNT(*) FROM node").fetchone()[0]
    if orphans:
        advice = f"rows of {', '.join(orphans)} belong to none of them; {_RESTART}"
        yield Finding("nodes", str(nodes), FAILED, advice)
    else:
        yield Finding("nodes", str(nodes), OK, "")


def _cursors(database: Database, sinks: Sequence[str]) -> Iterator[Finding]:
    with database.reading() as connection:
        last = last_position(connection)
        found = connection.execute("SELECT sink, MIN(done), MAX(done) FROM cursor GROUP BY sink")
        for sink, low, high in found.fetchall():
            where = f"{sink}: {low} of {last}"
            if not isinstance(high, int) or high > last:
                yield Finding("cursor", where, FAILED, f"is beyond all batches; {_RESTART}")
            elif sink not in sinks:
                advice = "no such uplink is configured; nothing waits for it, and it is forgotten"
                yield Finding("cursor", where, WARNING, f"{advice} by store compact")
            else:
                yield Finding("cursor", where, OK, f"{last - low} waiting at most")


def _size(told: Summary) -> Finding:
    where = f"{told.size_bytes >> 10} KiB, {told.used_bytes >> 10} KiB in use"
    if told.size_bytes > told.max_bytes:
        advice = f"more than max_bytes ({told.max_bytes}); stop the gateway, run store compact"
        return Finding("size", where, FAILED, advice)
    if told.full:
        why = {"cap": "max_bytes is reached", "disk": "the disk is full"}[told.full]
        advice = f"{why}; {told.thinned_batches} batches were thinned out"
        return Finding("size", where, WARNING, f"{advice}; see why the city does not get them")
    return Finding("size", where, OK, f"{told.free_bytes >> 20} MiB left")


def _quarantine(told: Summary) -> Finding:
    if told.quarantined:
        advice = "see the table quarantine for what and why; it goes by itself in time"
        return Finding("quarantine", f"{told.quarantined} batches", WARNING, advice)
    return Finding("quarantine", "empty", OK, "")


def _aside(database: Database) -> Finding:
    found = asides(database.file)
    size = sum(part.stat().st_size for file in found for part in parts(file))
    if found:
        advice = f"{size >> 10} KiB were set aside as damaged; the gateway deletes them in time"
        return Finding("damaged files", str(len(found)), WARNING, advice)
    return Finding("damaged files", "none", OK, "")


def _autonomy(told: Summary) -> Finding:
    if told.autonomy_h is None or told.full_h is None:
        return Finding("autonomy", "not known yet", OK, "it takes a minute of batches")
    where = f"{told.autonomy_h:.0f} h, thinned {told.full_h:.0f} h"
    return Finding("autonomy", where, OK, "without any delivery, at the present rate")
