"""The tables, as a list of migrations; each one runs with its record in one transaction."""

import re
import secrets
import sqlite3
from collections.abc import Callable

from lilong_gateway.errors import StoreDamagedError, StoreUnavailableError
from lilong_gateway.store import cursors
from lilong_gateway.store.checksum import row_sum
from lilong_gateway.store.records import Lane

_FIRST_SINK = "city"
"""The name of the sink whose cursor was the only one."""

SUMMED = {
    "stream": "node, epoch, stream, next",
    "boot": "node, boot_id, epoch_ms",
    "descriptor": "id, node, body",
    "cursor": "sink, lane, done, ahead_from, ahead_to",
}
"""Small tables, and of which of their fields, in this order, sum is the checksum."""

_STORE_ID = re.compile(r"[0-9a-f]{8}\Z")
_FIRST = (
    """CREATE TABLE node (
        id INTEGER PRIMARY KEY, eui BLOB NOT NULL UNIQUE, descriptor INTEGER, boot_id INTEGER)""",
    """CREATE TABLE descriptor (
        id INTEGER PRIMARY KEY, node INTEGER NOT NULL, hash BLOB NOT NULL,
        version INTEGER NOT NULL, body BLOB NOT NULL, UNIQUE (node, hash))""",
    """CREATE TABLE boot (
        id INTEGER PRIMARY KEY AUTOINCREMENT, node INTEGER NOT NULL, boot_id INTEGER NOT NULL,
        epoch_ms INTEGER NOT NULL, uncertainty_ms INTEGER NOT NULL, UNIQUE (node, boot_id))""",
    """CREATE TABLE stream (
        node INTEGER NOT NULL, epoch INTEGER NOT NULL, stream INTEGER NOT NULL,
        next INTEGER NOT NULL, PRIMARY KEY (node, epoch, stream)) WITHOUT ROWID""",
    """CREATE TABLE batch (
        pos INTEGER PRIMARY KEY AUTOINCREMENT, node INTEGER NOT NULL, epoch INTEGER NOT NULL,
        stream INTEGER NOT NULL, seq INTEGER NOT NULL, descriptor INTEGER,
        quality TEXT NOT NULL, offset_ms INTEGER, boot_id INTEGER, last_ms INTEGER,
        received_ms INTEGER, readings INTEGER NOT NULL, item BLOB NOT NULL,
        UNIQUE (node, epoch, stream, seq))""",
    "CREATE INDEX batch_undated ON batch (pos) WHERE received_ms IS NULL",
    """CREATE TABLE quarantine (
        id INTEGER PRIMARY KEY, node INTEGER NOT NULL, epoch INTEGER NOT NULL,
        stream INTEGER NOT NULL, seq INTEGER NOT NULL, reason TEXT NOT NULL,
        received_ms INTEGER, item BLOB NOT NULL, UNIQUE (node, epoch, stream, seq))""",
    "CREATE TABLE uplink (id INTEGER PRIMARY KEY CHECK (id = 1), cursor INTEGER NOT NULL)",
    "INSERT INTO uplink (id, cursor) VALUES (1, 0)",
)


def _create(connection: sqlite3.Connection) -> None:
    for statement in _FIRST:
        connection.execute(statement)
    connection.execute(
        "INSERT INTO meta (key, value) VALUES ('store_id', ?)", (secrets.token_hex(4),)
    )


def _note_keys(connection: sqlite3.Connection) -> None:
    """proven: the id of the key that the latest description came under; heard_ms: of a batch."""
    connection.execute("ALTER TABLE node ADD COLUMN proven BLOB")
    connection.execute("ALTER TABLE node ADD COLUMN heard_ms INTEGER")


def _note_software(connection: sqlite3.Connection) -> None:
    """What each node runs (status: the payload of STATUS), and what became of what was pushed."""
    for column in ("firmware TEXT", "status BLOB", "told_ms INTEGER"):
        connection.execute(f"ALTER TABLE node ADD COLUMN {column}")
    connection.execute(
        """CREATE TABLE attempt (
        id INTEGER PRIMARY KEY AUTOINCREMENT, node INTEGER NOT NULL, what TEXT NOT NULL,
        digest BLOB NOT NULL, sequence INTEGER NOT NULL, outcome TEXT NOT NULL, why TEXT NOT NULL,
        tries INTEGER NOT NULL, noted_ms INTEGER, UNIQUE (node, what, digest))"""
    )


def _note_adverts(connection: sqlite3.Connection) -> None:
    """Alarms heard in advertisements, the highest counters of these, and each node's epoch.

    A notice's epoch is the one that its seq was guessed for, NULL for none; outcome is NULL until
    the alarm's batch has come or the node holds it no longer.
    """
    connection.execute("ALTER TABLE node ADD COLUMN epoch INTEGER")
    latest = connection.execute("SELECT epoch, node, MAX(pos) FROM batch GROUP BY node")
    epochs = [(epoch, node) for epoch, node, _ in latest]
    connection.executemany("UPDATE node SET epoch = ? WHERE id = ?", epochs)
    connection.execute(
        """CREATE TABLE notice (
        id INTEGER PRIMARY KEY AUTOINCREMENT, node INTEGER NOT NULL, epoch INTEGER,
        channel INTEGER NOT NULL, seq INTEGER NOT NULL, raised INTEGER NOT NULL,
        key BLOB NOT NULL, counter INTEGER NOT NULL, heard_ms INTEGER, rssi INTEGER,
        adapter TEXT NOT NULL, outcome TEXT, settled_ms INTEGER)"""
    )
    connection.execute("CREATE INDEX notice_node ON notice (node, id)")
    connection.execute("CREATE INDEX notice_open ON notice (node) WHERE outcome IS NULL")
    connection.execute(
        """CREATE TABLE advert (
        id INTEGER PRIMARY KEY, node INTEGER NOT NULL, key BLOB NOT NULL,
        counter INTEGER NOT NULL CHECK (typeof(counter) = 'integer' AND counter < 4294967296),
        UNIQUE (node, key))"""
    )


def _note_sinks(connection: sqlite3.Connection) -> None:
    """A cursor for each sink and lane; of each batch its privacy, its thinning and a checksum.

    privacy is the strictest class among a batch's channels, NULL until its node has described
    them; one_in is how many batches of its stream it stands for; sum is NULL in older rows.
    """
    connection.execute(
        """CREATE TABLE cursor (
        sink TEXT NOT NULL, lane INTEGER NOT NULL, done INTEGER NOT NULL,
        ahead_from INTEGER NOT NULL, ahead_to INTEGER NOT NULL,
        PRIMARY KEY (sink, lane)) WITHOUT ROWID"""
    )
    for lane in Lane:
        connection.execute(
            "INSERT INTO cursor SELECT ?, ?, cursor, 0, 0 FROM uplink", (_FIRST_SINK, lane)
        )
    connection.execute("DROP TABLE uplink")
    for column in ("privacy INTEGER", "one_in INTEGER NOT NULL DEFAULT 1", "sum INTEGER"):
        connection.execute(f"ALTER TABLE batch ADD COLUMN {column}")
    connection.execute("CREATE INDEX batch_alarm ON batch (pos) WHERE stream = 0")


def _note_limits(connection: sqlite3.Connection) -> None:
    """What was thinned of each node and stream, other counts, and checksums of the small rows.

    Batches up to the position "unsummed" are older than their checksum. heard_ms of a stream is
    when a batch of it was stored last; that of a node is what was known before.
    """
    connection.execute(
        """CREATE TABLE tally (
        name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID"""
    )
    connection.execute(
        """CREATE TABLE thinned (
        node INTEGER NOT NULL, stream INTEGER NOT NULL, batches INTEGER NOT NULL,
        readings INTEGER NOT NULL, first_ms INTEGER, last_ms INTEGER,
        PRIMARY KEY (node, stream)) WITHOUT ROWID"""
    )
    connection.execute("DROP INDEX IF EXISTS batch_unclassed")
    connection.execute("ALTER TABLE stream ADD COLUMN heard_ms INTEGER")
    for table, fields in SUMMED.items():
        connection.execute(f"ALTER TABLE {table} ADD COLUMN sum INTEGER")
        connection.execute(f"UPDATE {table} SET sum = row_sum({fields})")  # noqa: S608 - ours
    connection.execute(
        "INSERT INTO meta (key, value) SELECT 'unsummed', COALESCE((SELECT pos FROM batch"
        " WHERE sum IS NULL ORDER BY pos DESC LIMIT 1), 0)"
    )


def migrations() -> tuple[Callable[[sqlite3.Connection], None], ...]:
    """Return every step from an empty file to the present tables, in order."""
    return (_create, _note_keys, _note_software, _note_adverts, _note_sinks, _note_limits)


def migrate(connection: sqlite3.Connection) -> str:
    """Bring a database up to date and return its store id.

    StoreUnavailableError when a newer gateway wrote it, StoreDamagedError when it does not say
    what it is. The connection is in autocommit mode.
    """
    connection.create_function("row_sum", -1, row_sum, deterministic=True)
    connection.execute("CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT) STRICT")
    steps = migrations()
    done = _version(connection)
    if done > len(steps):
        problem = f"the store has schema {done}, this gateway knows {len(steps)}; upgrade lilong"
        raise StoreUnavailableError(problem)
    for number, step in enumerate(steps[done:], start=done + 1):
        connection.execute("BEGIN IMMEDIATE")
        try:
            step(connection)
            connection.execute(
                "INSERT OR REPLACE INTO meta (key, value) VALUES ('schema', ?)", (str(number),)
            )
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
    store_id = _store_id(connection)
    cursors.check(connection)
    return store_id


def recognise(connection: sqlite3.Connection) -> str:
    """Return the store id of a store with the present tables, as it is.

    StoreUnavailableError when it has others, StoreDamagedError when it does not say what it is.
    """
    done, latest = _version(connection), len(migrations())
    if done != latest:
        advice = "start the gateway of this version once" if done < latest else "upgrade lilong"
        problem = f"the store has schema {done}, this program knows {latest}; {advice}"
        raise StoreUnavailableError(problem)
    return _store_id(connection)


def _store_id(connection: sqlite3.Connection) -> str:
    row = connection.execute("SELECT value FROM meta WHERE key = 'store_id'").fetchone()
    if row is None or not _STORE_ID.match(str(row[0])):
        raise StoreDamagedError("the store has lost its id")
    return str(row[0])


def _version(connection: sqlite3.Connection) -> int:
    row = connection.execute("SELECT value FROM meta WHERE key = 'schema'").fetchone()
    if row is None:
        return 0
    if not str(row[0]).isdecimal():
        raise StoreDamagedError(f"the store has schema {row[0]!r}")
    return int(row[0])


def unsummed(connection: sqlite3.Connection) -> int:
    """Return up to which position batches are older than their checksum."""
    row = connection.execute("SELECT value FROM meta WHERE key = 'unsummed'").fetchone()
    return int(row[0]) if row is not None and str(row[0]).isdecimal() else 0
