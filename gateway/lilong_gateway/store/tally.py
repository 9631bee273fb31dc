"""Numbers that outlive restarts: what was thinned, expired, found damaged."""

import sqlite3

_ADD = """INSERT INTO tally (name, value) VALUES (?, ?)
    ON CONFLICT (name) DO UPDATE SET value = value + excluded.value"""
_SET = """INSERT INTO tally (name, value) VALUES (?, ?)
    ON CONFLICT (name) DO UPDATE SET value = excluded.value"""

DAMAGED = "damaged rows"
TRACES = "traces"
EXPIRED = tuple(f"expired P{number}" for number in range(4))
"""Batches that were deleted for their age, by privacy class."""
PRESSED = "pressed since"
"""When thinning began, ms since 2000; absent while there is room."""


def add(connection: sqlite3.Connection, name: str, count: int) -> None:
    """Count; within the transaction of what is counted."""
    if count:
        connection.execute(_ADD, (name, count))


def put(connection: sqlite3.Connection, name: str, value: int) -> None:
    """Remember a number."""
    connection.execute(_SET, (name, value))


def drop(connection: sqlite3.Connection, name: str) -> None:
    """Forget a number."""
    connection.execute("DELETE FROM tally WHERE name = ?", (name,))


def read(connection: sqlite3.Connection) -> dict[str, int]:
    """Return all numbers that are sound."""
    found = connection.execute("SELECT name, value FROM tally").fetchall()
    return {name: value for name, value in found if isinstance(value, int)}
