"""Harms: each is done to a street, and undone by itself after a moment unless it is a death."""

import asyncio
import contextlib
import os
import resource
import signal

import damage
from proxy import PASS
from words import UNSET

STEPS = {
    "any": ("", 60),
    "insert": ("^INSERT", 60),
    "commit": ("^COMMIT", 30),
    "cursor": ("cursor|sink", 12),
    "prune": ("^DELETE", 4),
    "settle": ("^UPDATE batch", 2),
    "migrate": ("^(CREATE|ALTER)|INTO meta", 24),
    "checkpoint": ("wal_checkpoint", 1),
}
"""By name: which statements, and the highest number of the one at which the process dies."""

_DAY_MS = 86_400_000
_JUMPS_MS = (-_DAY_MS, 365 * _DAY_MS, -5000, 3_600_000)


class Harms:
    """`done` counts what was done, by kind; `excusable` is what a damaged file may have held."""

    def __init__(self, street, dice):
        self.done = {}
        self.forgotten = False
        """Whether a broker was killed that had acknowledged what it then no longer had."""
        self.excusable = set()
        self._street = street
        self._dice = dice
        self._hand = asyncio.Lock()
        self._city = asyncio.Lock()

    def possible(self):
        """Name the harms that this street can be done."""
        plan = self._street.plan
        names = set(KINDS)
        if plan.confirm == "broker":
            names -= {"kill_broker", "power_cut"}
        if not plan.held:
            names -= {"kill_at_step", "jump_clock"}
        return sorted(names)

    async def do(self, name):
        label = await KINDS[name](self)
        label = name if label is None else f"{name}:{label}"
        self.done[label] = self.done.get(label, 0) + 1

    async def undo(self):
        """Leave nothing that is still in the way."""
        street = self._street
        street.proxy.manner, street.proxy.delay_s, street.proxy.cut_after = PASS, 0.0, None
        await street.proxy.open()
        if street.plan.held:
            street.set_clock(0)
        for node in street.nodes:
            if not node.alive:
                node.start()

    async def kill_gateway(self):
        self._street.gateway.send(signal.SIGKILL)

    async def end_gateway(self):
        self._street.gateway.send(signal.SIGTERM)

    async def kill_at_step(self):
        """Let the next life of the gateway, and no later one, end in the midst of a statement."""
        name = self._dice.choice(sorted(STEPS))
        words, most = STEPS[name]
        count = self._dice.randrange(1, most + 1)
        delay_ms = self._dice.choice((0, 0, 0.1, 0.5, 2, 10))
        async with self._hand:
            await self._street.gateway.stop()
            (self._street.folder / "trap").write_text(f"{words} {count} {delay_ms}")
            if name == "settle":
                self._street.set_clock(UNSET)
            self._street.gateway.release()
        if name == "settle":
            await asyncio.sleep(2)
            self._street.set_clock(0)
        return name

    async def kill_broker(self):
        self.forgotten = True
        await self._street.broker.stop()
        await self._moment(0.8)
        self._street.broker.release()

    async def kill_city(self):
        async with self._city:
            await self._street.city.stop()
            await self._moment(0.8)
            await self._street.city.release()

    async def kill_node(self):
        node = self._dice.choice(self._street.nodes)
        node.die()
        if self._dice.random() < 0.5:
            node.line.unplug()
        await self._moment(0.5)
        if not node.alive:
            node.start()

    async def unplug(self):
        node = self._dice.choice(self._street.nodes)
        node.line.unplug()
        await self._moment(0.5)
        if node.alive:
            node.line.plug()

    async def power_cut(self):
        """Everything goes at once, and comes back in any order."""
        street = self._street
        self.forgotten = True
        async with self._hand, self._city:
            await asyncio.gather(street.gateway.stop(), street.broker.stop(), street.city.stop())
            for node in street.nodes:
                node.die()
            starts = [street.gateway.release, street.broker.release]
            starts += [node.start for node in street.nodes]
            self._dice.shuffle(starts)
            for start in starts:
                start()
                await self._moment(0.1)
            await street.city.release()

    async def fill_disk(self):
        street = self._street
        if not street.plan.mounts:
            return await self._limit_files()
        ballast = street.data / "ballast"
        with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
            for size in (65_536, 512, 1):
                with contextlib.suppress(OSError):
                    while True:
                        file.write(bytes(size))
        await self._moment(1.5)
        ballast.unlink(missing_ok=True)
        return None

    async def _limit_files(self):
        """Without a disk of our own: the process may write no further than some place."""
        pid = self._street.gateway.pid
        if pid is None:
            return "missed"
        with contextlib.suppress(ProcessLookupError):
            hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)[1]
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (self._dice.randrange(40_000), hard))
            await self._moment(1.5)
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard, hard))
        return "limit"

    async def damage_store(self):
        name = self._dice.choice(sorted(damage.KINDS))
        street = self._street
        if self._dice.random() < 0.7:  # what is damaged is more than what was delivered long ago
            await street.proxy.refuse()
            street.proxy.cut()
            await self._moment(1.5)
        async with self._hand:
            await street.gateway.stop(self._dice.choice((signal.SIGKILL, signal.SIGTERM)))
            await street.proxy.open()
            await asyncio.sleep(0.05)  # what it said last reaches the nodes
            store = street.data / "store.db"
            if store.exists():
                if name not in damage.HARMLESS:
                    self.excusable |= street.acknowledged()
                with contextlib.suppress(OSError):  # a full disk takes no garbage either
                    damage.KINDS[name](store, self._dice)
            street.gateway.release()
        return name

    async def jump_clock(self):
        told = self._dice.choice((UNSET, UNSET, *_JUMPS_MS))
        self._street.set_clock(told)
        await self._moment(1.5)
        self._street.set_clock(0)

    async def cut(self):
        self._street.proxy.cut()

    async def reset(self):
        """Reset the connection amid a message."""
        self._street.proxy.cut_after = self._dice.randrange(1, 2000)

    async def delay(self):
        self._street.proxy.delay_s = self._dice.uniform(0.02, 0.3)
        await self._moment(1.0)
        self._street.proxy.delay_s = 0.0

    async def half_open(self):
        self._street.proxy.swallow()
        await self._moment(1.5)
        self._street.proxy.manner = PASS

    async def refuse(self):
        await self._street.proxy.refuse()
        self._street.proxy.cut(abruptly=True)
        await self._moment(1.0)
        await self._street.proxy.open()

    async def freeze(self):
        street = self._street
        units = [street.gateway, street.broker]
        if street.plan.city_process:
            units.append(street.city.unit)
        unit = self._dice.choice(units)
        pid = unit.pid
        unit.send(signal.SIGSTOP)
        await self._moment(1.5)
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        return unit.name

    async def _moment(self, most_s):
        await asyncio.sleep(self._dice.uniform(0.05, most_s))


KINDS = {
    name: getattr(Harms, name)
    for name in (
        *("kill_gateway", "end_gateway", "kill_at_step", "kill_broker", "kill_city", "kill_node"),
        *("unplug", "power_cut", "fill_disk", "damage_store", "jump_clock"),
        *("cut", "reset", "delay", "half_open", "refuse", "freeze"),
    )
}
