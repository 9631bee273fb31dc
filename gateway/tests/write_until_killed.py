"""Stores batches as fast as it can and prints the next sequence number after each commit."""

import sys
from pathlib import Path

from lilong_gateway.store.database import Database
from lilong_gateway.store.records import Arrival, Slot
from lilong_gateway.store.writer import commit

database = Database(Path(sys.argv[1]))
group = int(sys.argv[2])
seq = int(sys.argv[3])
while True:
    slots = [Slot(bytes(8), 7, 2, seq + index) for index in range(group)]
    commit(database, [Arrival(slot, b"item" * 40, 60, None, 0, 1) for slot in slots])
    seq += group
    sys.stdout.write(f"{seq}\n")
    sys.stdout.flush()
