"""A program: delivers what a store holds to a broker, and stores a batch now and then beside it.

    deliver_until_killed.py FOLDER PORT LIVE REPLAY_PER_S

LIVE batches are stored, one each 10 ms. It ends when nothing waits, telling the most memory that
it had, in KiB.
"""

import asyncio
import resource
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from sink_site import batches, running


async def deliver(folder: Path, port: int, live: int, per_s: int) -> None:
    options = {"format": "senml+json", "replay_per_s": per_s, "timeout_s": 5.0}
    async with running(folder, port, **options) as site:
        first = (await site.store.summary()).last
        while site.uplink.connected is None:
            await asyncio.sleep(0.01)
        for seq in range(first, first + live):
            await site.put(*batches(seq, 1))
            await asyncio.sleep(0.01)
        while site.uplink.waiting != 0:
            await asyncio.sleep(0.01)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


if __name__ == "__main__":
    folder, port, live, per_s = sys.argv[1:]
    asyncio.run(deliver(Path(folder), int(port), int(live), int(per_s)))
