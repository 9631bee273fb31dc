"""The city: the real receiver, as a process of its own or in this one."""

import asyncio
import logging
import sys

from unit import Unit

from lilong_tools.city.address import Address
from lilong_tools.city.receiver import Receiver
from lilong_tools.city.store import CityStore


class Witness(CityStore):
    """A store that also notes every message, the repeats too."""

    def __init__(self, path, seen):
        super().__init__(path)
        self._seen = seen

    def commit(self, arrivals):
        arrivals = list(arrivals)
        held = super().commit(arrivals)
        self._seen += [arrival.payload for arrival in arrivals]
        return held


class CityHere:
    """`seen` is all that was committed, in order, repeats too."""

    def __init__(self, file, port):
        self.file = file
        self.seen = []
        self._port = port
        self._task = None

    async def start(self):
        log = logging.getLogger("chaos.city")
        log.propagate = False
        log.handlers[:] = [logging.NullHandler()]
        self._store = Witness(self.file, self.seen)
        self._receiver = Receiver(
            self._store, Address("127.0.0.1", self._port), "lilong", "+", log
        )
        self._task = asyncio.create_task(self._receiver.run())

    async def stop(self):
        """End at once; a commit that is under way ends first."""
        if self._task is not None:
            while not self._task.done():  # a client that just connects can miss the first
                self._task.cancel()
                await asyncio.wait([self._task], timeout=0.5)
            self._task = None
            self._receiver.close()
            self._store.close()

    async def release(self):
        await self.start()

    close = stop


class CityProcess:
    """`lilong city`, which is killed for real; of repeats nothing is known."""

    def __init__(self, file, port, log):
        self.file = file
        self.seen = []
        words = ["city", "--broker", f"127.0.0.1:{port}", "--db", str(file), "--prefix", "lilong"]
        self.unit = Unit("city", [sys.executable, "-m", "lilong_tools", *words], log)

    async def start(self):
        await self.unit.start()

    async def stop(self):
        await self.unit.stop()

    async def release(self):
        self.unit.release()

    async def close(self):
        await self.unit.close()
