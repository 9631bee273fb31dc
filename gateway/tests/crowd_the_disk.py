"""In a mount namespace of its own: others fill the disk of a store that takes little of it."""

import asyncio
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from lilong_gateway.config_store import Storage
from lilong_gateway.errors import StoreFullError
from lilong_gateway.store.records import Arrival, Slot
from lilong_gateway.store.store import Store

folder = Path(sys.argv[1])


def batches(start: int, count: int) -> list[Arrival]:
    slots = [Slot(bytes(8), 7, 2, start + index) for index in range(count)]
    return [Arrival(slot, bytes(200), 60, None, 0, 1) for slot in slots]


def crowd() -> None:
    handle = os.open(folder / "ballast", os.O_WRONLY | os.O_CREAT)
    with suppress(OSError):
        while True:
            os.write(handle, bytes(1 << 12))
    os.close(handle)


async def main() -> None:
    store = Store(folder, storage=Storage(reserve_bytes=4 << 20))
    await store.open()
    await store.commit(batches(0, 500))
    crowd()
    more = True
    while more:
        more = (await store.relieve(5, full=True)).more
    refused = False
    try:
        await store.commit(batches(500, 500))
    except StoreFullError:
        refused = True
    told = await store.summary()
    rows = await store.rows_after(await store.open(), 0, 1 << 20)
    sys.stdout.write(f"refused={refused} thinned={told.thinned_batches} kept={len(rows)}\n")
    await store.close()


subprocess.run(["mount", "-t", "tmpfs", "-o", "size=40m", "tmpfs", folder], check=True)
asyncio.run(main())
