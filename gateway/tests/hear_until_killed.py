"""Hears alarms as fast as the store takes them, and prints the counter of each stored notice."""

import asyncio
import sys
from pathlib import Path

from lilong_gateway.backoff import Backoff
from lilong_gateway.clock import Clock
from lilong_gateway.ingest import Ingest
from lilong_gateway.keys import KeyRing
from lilong_gateway.proofs import Proofs
from lilong_gateway.radio.listener import Listener
from lilong_gateway.roster import Roster
from lilong_gateway.store.store import Store
from lilong_protocol.advert import Told, seal_advert

EUI = bytes.fromhex("0a1b2c3d4e5f6071")
KEY = bytes(range(16))


def alarm(counter: int) -> bytes:
    """Return the advertisement of another alarm for each counter."""
    told = Told(
        alarm=True,
        raised=True,
        device_class=2,
        waiting=1,
        age_s=0,
        supply_mv=None,
        channel=counter % 200,
        seq=counter,
    )
    return seal_advert(KEY, EUI, counter, told)


async def _hear(folder: Path, counter: int) -> None:
    keys, clock = KeyRing({EUI: [KEY]}), Clock()
    store = Store(folder)
    ingest = Ingest(store, asyncio.Event(), Backoff(lambda: 0.5, 0.01, 0.02))
    listener = Listener(keys, Proofs(keys), Roster(), store, ingest, clock)
    stored = asyncio.Event()
    ingest.follow(lambda _: stored.set())
    tasks = [asyncio.create_task(duty) for duty in (ingest.run(), listener.run())]
    while tasks:
        stored.clear()
        while listener.heard(alarm(counter), "hci0", -60, clock.steady_ms()) is None:
            await asyncio.sleep(0.01)
        await stored.wait()
        sys.stdout.write(f"{counter}\n")
        sys.stdout.flush()
        counter += 1


if __name__ == "__main__":
    asyncio.run(_hear(Path(sys.argv[1]), int(sys.argv[2])))
