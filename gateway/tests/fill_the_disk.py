"""In a mount namespace of its own: a store on a small disk, until it is full and after."""

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
ITEM = bytes(range(250)) * 3
STORAGE = Storage(reserve_bytes=4 << 20)


def say(**facts: object) -> None:
    sys.stdout.write(" ".join(f"{name}={fact}" for name, fact in facts.items()) + "\n")


def batches(start: int, count: int, stream: int) -> list[Arrival]:
    slots = [Slot(bytes(8), 7, stream, start + index) for index in range(count)]
    return [Arrival(slot, ITEM, 60, None, 0, 1) for slot in slots]


async def fill(store: Store, stream: int, start: int) -> tuple[int, StoreFullError]:
    for seq in range(start, 1 << 20, 20):
        try:
            await store.commit(batches(seq, 20, stream))
        except StoreFullError as error:
            return seq, error
    raise AssertionError("a small disk never gets full")


async def numbers(store: Store, stream: int) -> list[int]:
    rows = await store.rows_after(await store.open(), 0, 1 << 20)
    return [row.slot.seq for row in rows if row.slot.stream == stream]


async def main() -> None:
    store = Store(folder, storage=STORAGE)
    await store.open()
    say(reserve=(await store.summary()).reserve_held)
    stored, error = await fill(store, 2, 0)
    kept = await numbers(store, 2) == list(range(stored))
    say(full=str(error).split(": ")[-1].split(";")[0], alarms=error.alarms_only, kept=kept)
    await store.commit(batches(0, 20, 0))
    ballast = folder / "ballast"
    handle = os.open(ballast, os.O_WRONLY | os.O_CREAT)
    with suppress(OSError):
        while True:
            os.write(handle, bytes(1 << 12))
    os.close(handle)
    more = True
    while more:
        more = (await store.relieve(5, full=True)).more
    told = await store.summary()
    say(reserve=told.reserve_held, why=told.full or "ended", thinned=told.thinned_batches > 0)
    done = await store.commit(batches(stored, 20, 2) + batches(20, 20, 0))
    say(again=done.stored, alarms=await numbers(store, 0) == list(range(40)))
    await store.close()
    ballast.unlink()
    store = Store(folder, storage=STORAGE)
    held = len(await numbers(store, 2))
    told = await store.summary()
    say(reserve=told.reserve_held, counted=held + told.thinned_batches == stored + 20)
    await store.close()


subprocess.run(["mount", "-t", "tmpfs", "-o", "size=20m", "tmpfs", folder], check=True)
asyncio.run(main())
