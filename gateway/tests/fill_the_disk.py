"""In a mount namespace of its own: a store on a disk of 1 MiB, until it is full and after."""

import subprocess
import sys
from pathlib import Path

from lilong_gateway.errors import StoreFullError
from lilong_gateway.store.database import Database
from lilong_gateway.store.reader import rows_after, summary
from lilong_gateway.store.records import Arrival, Slot
from lilong_gateway.store.writer import commit

folder = Path(sys.argv[1])
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], check=True)
database = Database(folder / "store.db")
stored = 0
try:
    while True:
        slot = Slot(bytes(8), 7, 2, stored)
        commit(database, [Arrival(slot, b"item" * 100, 60, None, 0, 1)])
        stored += 1
except StoreFullError:
    rows = rows_after(database, 0, 10_000)
    kept = [row.slot.seq for row in rows] == list(range(stored))
    sys.stdout.write(f"full kept={kept} last={summary(database, ['city']).last == stored}\n")
database.close()
database = Database(folder / "store.db")
sys.stdout.write(f"reopened last={summary(database, ['city']).last == stored}\n")
