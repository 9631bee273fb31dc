"""A damaged store whose own description is spoilt: its tables are described anew."""

import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from lilong_gateway.store.database import Database

_DESCRIBED = "SELECT rowid, type, name, tbl_name, sql FROM sqlite_master"
_DESCRIBE = """UPDATE sqlite_master SET type = ?2, name = ?3, tbl_name = ?4, sql = ?5
    WHERE rowid = ?1 AND (type, name, tbl_name, COALESCE(sql, 0)) !=
    (?2, ?3, ?4, COALESCE(?5, 0))"""
_UNREADABLE = (sqlite3.Error, ValueError)


def mend(damaged: Path, fresh: Database) -> None:
    """Give the tables of a damaged file the description of those of a fresh one, where it is hurt.

    Every store comes by its tables in the same order, so that their places in it are the same.
    What follows from a wrong guess does no harm: each row is checked by itself.
    """
    if _is_whole(damaged):
        return
    with fresh.reading() as connection:
        known = connection.execute(_DESCRIBED).fetchall()
    with suppress(*_UNREADABLE), closing(_open(damaged)) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        found = {row[0]: row for row in connection.execute(_DESCRIBED)}
        same = sum(found.get(row[0], ()) == row for row in known)
        if same > len(known) // 2 and len(found) == len(known):
            with connection:
                connection.executemany(_DESCRIBE, known)


def _open(file: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(f"{file.resolve().as_uri()}?mode=rw", uri=True)
    connection.text_factory = lambda data: data.decode(errors="replace")
    return connection


def _is_whole(file: Path) -> bool:
    with suppress(*_UNREADABLE), closing(_open(file)) as connection:
        connection.execute("SELECT pos, node, epoch, stream, seq, item FROM batch LIMIT 0")
        return True
    return False
