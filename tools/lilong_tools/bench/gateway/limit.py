"""What SQLite alone takes on the same disk: the same rows in the same groups, unchecked."""

import sqlite3
import time
from pathlib import Path

_GROUP = 1000
"""Rows of one transaction, as of the gateway's."""


def alone_s(items: list[bytes], nodes: int, path: Path) -> float:
    """Return the seconds for a row of each item of each node, each group on disk."""
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("PRAGMA synchronous=FULL")
    database.execute("CREATE TABLE batch (node, seq, item, PRIMARY KEY (node, seq))")
    rows = [(node, seq, item) for seq, item in enumerate(items) for node in range(nodes)]
    began = time.perf_counter()
    for start in range(0, len(rows), _GROUP):
        database.execute("BEGIN")
        database.executemany("INSERT INTO batch VALUES (?, ?, ?)", rows[start : start + _GROUP])
        database.execute("COMMIT")
    elapsed_s = time.perf_counter() - began
    database.close()
    return elapsed_s
