"""A street on BLE where everything fails at random."""

import asyncio
import os
import random
import signal
import socket
import sys
from collections import Counter
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

from ble_peer import Central
from ble_site import Site, until
from ble_strangers import Hook
from bumble.core import BaseBumbleError
from bumble.hci import HCI_ErrorCode as Code

from lilong_tools.city.address import Address
from lilong_tools.city.arrivals import Arrivals
from lilong_tools.demo.child import Child
from lilong_tools.demo.gateway import PREFIX, write_gateway
from lilong_tools.demo.plan import over_links, scenario_nodes
from lilong_tools.demo.progress import NodeProgress, Progress
from lilong_tools.demo.report import Report, account_for
from lilong_tools.radio.model import RadioModel
from lilong_tools.radio.plug import Radio
from lilong_tools.vnode import VirtualNode, make_folder
from lilong_tools.vnode.folder import installed_firmware

PATIENCE_S = 400
"""An adapter that fell mute amid the harm is switched off and on after two minutes of silence."""

PAPER = 5
ADAPTERS = ("hci0", "hci1")
STATUSES = (
    Code.COMMAND_DISALLOWED_ERROR,
    Code.CONNECTION_LIMIT_EXCEEDED_ERROR,
    Code.CONNECTION_TIMEOUT_ERROR,
    Code.CONNECTION_FAILED_TO_BE_ESTABLISHED_ERROR,
)
LIFE_S = 3.0
"""A gateway that never lives so long is not started again."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Street(Site):
    """Real firmware and paper nodes on two adapters, a gateway, Mosquitto, a city.

    `hard`: adapters also vanish and fall mute, which only time and the watchdog can mend.
    """

    def __init__(
        self,
        folder: Path,
        micropython: Path,
        mosquitto: Path,
        *,
        nodes: int,
        seed: int,
        hard: bool,
    ) -> None:
        super().__init__(folder, ADAPTERS, RadioModel(interval_ms=15, event_loss=0.02))
        self.air.chance.seed(seed)
        self.chance = random.Random(seed)
        self.harms: Counter[str] = Counter()
        self.broker_port = free_port()
        self.add(PAPER)
        tables = installed_firmware().program.parent / "lilong_firmware" / "scenarios"
        self.plans = over_links(scenario_nodes(tables, nodes), ["ble"])
        self.real = [self._real(plan, micropython) for plan in self.plans]
        self.stranger = Central(self.air, "stranger")
        self.children: dict[str, Child] = {}
        self._mosquitto = mosquitto
        self._hard = hard
        self._killed_s = 0.0

    def _real(self, plan, micropython: Path) -> VirtualNode:
        folder = self.folder / "nodes" / plan.label
        make_folder(folder, {**plan.settings, "advert_ms": 200}, plan.key)
        return VirtualNode(folder, micropython, radio=Radio(self.air, plan.label))

    async def open(self) -> None:
        broker = Address("127.0.0.1", self.broker_port)
        config = write_gateway(self.folder, self.plans, broker, "cbor", "street")
        text = config.read_text().replace('adapters = ["hci0"]', f"adapters = {[*ADAPTERS]}")
        config.write_text(text)
        with (self.folder / "nodes.toml").open("a") as keys:
            keys.writelines(f'"{node.eui.hex()}" = "{node.key.hex()}"\n' for node in self.nodes)
        words = []
        for name in ADAPTERS:
            self.ports[name] = await self.air.serve(name)
            words += ["--adapter", f"{name}={self.ports[name].address}"]
        gateway = ["lilong_tools.radio.gateway", *words, "--", "run", "--config", str(config)]
        city = ["lilong_tools", "city", "--broker", str(broker), "--prefix", PREFIX]
        conf = self.folder / "mosquitto.conf"
        conf.write_text(f"listener {broker.port} 127.0.0.1\nallow_anonymous true\nuser root\n")
        await self._keep("broker", str(self._mosquitto), "-c", str(conf))
        await self._keep("city", sys.executable, "-m", *city, "--db", str(self.folder / "city.db"))
        await self._keep("gateway", sys.executable, "-m", *gateway)
        await self.stranger.start()
        self.power(*self.nodes)
        for node in self.real:
            await node.start()

    async def _keep(self, name: str, *command: str) -> None:
        child = self.children[name] = Child(name, command, self.folder / f"{name}.log")
        await child.start()
        self._tasks.append(asyncio.create_task(child.keep()))

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        for node in self.real:
            await node.close()
        for child in self.children.values():
            await child.end(10)
        for port in self.ports.values():
            await port.close()

    @property
    def arrivals(self) -> Arrivals:
        return Arrivals(self.folder / "city.db")

    async def harm(self) -> None:
        """Do one thing that happens to radios, and undo it after a moment."""
        harms = [
            *(self.drop, self.drop, self.refuse, self.be_busy, self.wedge, self.lose_adverts),
            *(self.drop_at_random, self.hide, self.spoil, self.narrow, self.hold),
            *(self.kill_gateway, self.kill_node, self.kill_node),
        ]
        if self._hard:
            harms += [self.vanish, self.mute]
        harm = self.chance.choice(harms)
        self.harms[harm.__name__] += 1
        await harm()

    async def moment(self, most_s: float = 2.0) -> None:
        await asyncio.sleep(self.chance.random() * most_s)

    def anybody(self) -> str:
        return self.chance.choice([*(n.name for n in self.nodes), *(p.label for p in self.plans)])

    def adapter(self) -> str:
        return self.chance.choice(ADAPTERS)

    async def drop(self) -> None:
        self.air.silence(self.chance.choice([self.anybody(), self.adapter()]))

    async def refuse(self) -> None:
        times = self.chance.randrange(1, 4)
        self.air.faults.refuse(self.anybody(), self.chance.choice(STATUSES), times)

    async def be_busy(self) -> None:
        name = self.adapter()
        self.air.faults.busy.add(name)
        await self.moment()
        self.air.faults.busy.discard(name)

    async def wedge(self) -> None:
        name = self.adapter()
        self.air.faults.wedged.add(name)
        await self.moment()
        self.air.faults.wedged.discard(name)

    async def lose_adverts(self) -> None:
        self.air.faults.advert_loss = self.chance.random()
        await self.moment()
        self.air.faults.advert_loss = 0.0

    async def drop_at_random(self) -> None:
        self.air.faults.drops_per_s = self.chance.random() * 3
        await self.moment()
        self.air.faults.drops_per_s = 0.0

    async def hide(self) -> None:
        pair = self.adapter(), self.anybody()
        self.air.set_rssi(*pair, self.chance.choice([None, -93, -98]))
        await self.moment()
        self.air.set_rssi(*pair, -60)

    async def spoil(self) -> None:
        node = self.chance.choice(self.nodes)
        node.spoil = Hook(self.chance.random() / 2, self.chance.random())
        await self.moment()
        node.spoil = lambda value: [value]

    async def narrow(self) -> None:
        self.air.faults.mtu_limit = self.chance.randrange(23, 248)

    async def hold(self) -> None:
        """Be a stranger that connects, says nothing of use, and stays for a while."""
        address = self.air.named[self.anybody()].public_address
        with suppress(BaseBumbleError, TimeoutError, asyncio.CancelledError):
            async with asyncio.timeout(3):
                connection = await self.stranger.connect(address)
                await self.moment()
                await connection.disconnect()

    async def kill_gateway(self) -> None:
        now_s = asyncio.get_running_loop().time()
        process = self.children["gateway"]._process
        if now_s - self._killed_s > LIFE_S and process is not None and process.returncode is None:
            self._killed_s = now_s
            os.kill(process.pid, signal.SIGKILL)

    async def kill_node(self) -> None:
        node = self.chance.choice(self.real)
        await node.kill()
        await self.moment(0.5)
        await node.start()

    async def vanish(self) -> None:
        port = self.ports[self.adapter()]
        await port.close()
        await self.moment()
        await port.open()

    async def mute(self) -> None:
        name = self.adapter()
        self.air.faults.mute.add(name)
        await self.moment()
        self.air.faults.mute.discard(name)

    def say(self) -> None:
        for node in self.nodes:
            for _ in range(self.chance.randrange(8)):
                node.say()
            if self.chance.random() < 0.2:
                node.say(stream=0, count=2)

    async def calm(self) -> Report:
        """Let all faults be over, wait until everything has arrived, and compare."""
        faults = self.air.faults
        faults._refusals.clear()
        faults.mtu_limit = None
        for node in self.real:
            (node.folder / "stop").touch()
        progress = Progress(
            [NodeProgress(plan, self.folder / "nodes" / plan.label) for plan in self.plans],
            self.arrivals,
            self.folder / "gateway.json",
        )
        async with asyncio.timeout(PATIENCE_S):
            while not progress.complete:
                progress.update()
                await asyncio.sleep(0.2)
        await until(lambda: not any(node.waiting for node in self.nodes), PATIENCE_S)
        nodes = [
            SimpleNamespace(plan=plan, folder=self.folder / "nodes" / plan.label)
            for plan in self.plans
        ]
        return account_for(nodes, self.arrivals, 0)

    @property
    def store(self) -> Path:
        return self.folder / "gateway" / "store.db"

    @property
    def status_file(self) -> Path:
        return self.folder / "gateway.json"
