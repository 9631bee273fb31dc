"""Reading the store."""

from lilong_gateway.store.database import Database
from lilong_gateway.store.records import Known, Row, Slot, Summary
from lilong_gateway.store.writer import load_sequence

_ROWS = """SELECT b.pos, n.eui, b.epoch, b.stream, b.seq, b.quality, b.offset_ms, d.body, b.item
    FROM batch b JOIN node n ON n.id = b.node
    LEFT JOIN descriptor d ON d.id = COALESCE(b.descriptor, n.descriptor)
    WHERE b.pos > ? ORDER BY b.pos LIMIT ?"""


def rows_after(database: Database, pos: int, limit: int) -> list[Row]:
    """Return up to limit batches above pos, in order; ends before the first pending one."""
    rows: list[Row] = []
    with database.reading() as connection:
        for found in connection.execute(_ROWS, (pos, limit)):
            number, eui, epoch, stream, seq, quality, offset_ms, body, item = found
            if quality == "pending":
                break
            slot = Slot(eui, epoch, stream, seq)
            rows.append(Row(number, slot, quality, offset_ms, body, item))
    return rows


def known(database: Database, eui: bytes, epoch: int, descriptor_hash: bytes) -> Known:
    """Return what a node that says HELLO need not send again."""
    with database.reading() as connection:
        found = connection.execute("SELECT id FROM node WHERE eui = ?", (eui,)).fetchone()
        if found is None:
            return Known((0, 0, 0, 0), described=False)
        node = found[0]
        alarm, control, data, bulk = (
            load_sequence(connection, node, epoch, stream).next for stream in range(4)
        )
        described = connection.execute(
            "SELECT 1 FROM descriptor WHERE node = ? AND hash = ?", (node, descriptor_hash)
        ).fetchone()
        return Known((alarm, control, data, bulk), described is not None)


def summary(database: Database) -> Summary:
    """Return the state of the store in numbers, at a cost that does not grow with it."""
    with database.reading() as connection:
        last = connection.execute(
            "SELECT seq FROM sqlite_sequence WHERE name = 'batch'"
        ).fetchone()
        cursor = connection.execute("SELECT cursor FROM uplink").fetchone()[0]
        quarantined = connection.execute("SELECT COALESCE(MAX(id), 0) FROM quarantine").fetchone()
        size_bytes = database.file.stat().st_size
    return Summary(database.store_id, last[0] if last else 0, cursor, quarantined[0], size_bytes)
