"""Opens a store and dies by kill -9 just before the statement of this number is run."""

import os
import signal
import sqlite3
import sys
from pathlib import Path

from lilong_gateway.store import schema
from lilong_gateway.store.database import Database

left = int(sys.argv[2])
steps = schema.migrations()


def watched(connection: sqlite3.Connection) -> None:
    connection.set_trace_callback(count)


def count(_: str) -> None:
    global left  # noqa: PLW0603 - a script of one function
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)


class Watched(sqlite3.Connection):
    """A connection each of whose statements is counted."""

    def __init__(self, *arguments: object, **named: object) -> None:
        super().__init__(*arguments, **named)  # type: ignore[arg-type]
        watched(self)


plain = sqlite3.connect
sqlite3.connect = lambda *given, **named: plain(*given, factory=Watched, **named)  # type: ignore[assignment]
Database(Path(sys.argv[1])).close()
sys.stdout.write("done\n")
