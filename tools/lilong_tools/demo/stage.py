"""All that runs in a demonstration: broker, gateway, city and nodes, each its own process."""

import asyncio
import contextlib
import secrets
import socket
import sys
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any

from lilong_tools.city.address import Address
from lilong_tools.city.arrivals import Arrivals
from lilong_tools.demo.child import Child
from lilong_tools.demo.ether import Ether
from lilong_tools.demo.fleet import KeptNode
from lilong_tools.demo.gateway import PREFIX, write_gateway
from lilong_tools.demo.plan import NodePlan
from lilong_tools.demo.progress import NodeProgress, Progress
from lilong_tools.errors import ToolError
from lilong_tools.vnode.wireless import Wireless

_LOCAL = "127.0.0.1"
_BROKER_S = 20.0
_CONNECT_S = 5.0
_LOOK_S = 0.05
_END_S = 10.0


class Stage:
    """The processes of one demonstration and the folder in which they work."""

    def __init__(
        self,
        folder: Path,
        plans: Sequence[NodePlan],
        broker: Address | None,
        form: str,
        micropython: Path,
        heap_kib: int,
    ) -> None:
        """Write all files; nothing runs yet. Without `broker` an embedded one will be started."""
        self.folder = folder
        self.embedded = broker is None
        self.address = broker or Address(_LOCAL, _free_port())
        self.arrivals = Arrivals(folder / "city.db")
        # A site of its own, so that others on the same broker neither hear nor confirm ours.
        site = f"demo-{secrets.token_hex(3)}"
        config = write_gateway(folder, plans, self.address, form, site)
        self.broker = self._child("broker", "lilong_tools.broker", _LOCAL, str(self.address.port))
        self.city = self._child(
            "city",
            "lilong_tools",
            "city",
            "--broker",
            str(self.address),
            "--db",
            str(folder / "city.db"),
            "--prefix",
            PREFIX,
            "--site",
            site,
            "--forget",
        )
        self._ether: Ether | None = None
        self._run_gateway = ["run", "--config", str(config)]
        self.gateway = self._child("gateway", "lilong_gateway", *self._run_gateway)
        self.nodes = [
            KeptNode(plan, folder / "nodes" / plan.label, micropython, heap_kib) for plan in plans
        ]
        followed = [NodeProgress(node.plan, node.folder) for node in self.nodes]
        self.progress = Progress(followed, self.arrivals, folder / "gateway.json")
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def restarts(self) -> int:
        """How often anything was started again because it died."""
        children = (self.broker, self.gateway, self.city)
        restarts = [child.restarts for child in children]
        return sum(restarts) + sum(node.restarts for node in self.nodes)

    async def open(self) -> None:
        """Start everything; raise ToolError when the broker does not answer."""
        if self.embedded:
            await self._launch(self.broker)
        await self._reach_broker()
        if any(node.plan.on_ble for node in self.nodes):
            self._ether = Ether()
            words = await self._ether.open()
            self.gateway = self._child("gateway", *words, *self._run_gateway)
        await asyncio.gather(self._launch(self.city), self._launch(self.gateway))
        for node in self.nodes:
            await node.start(self._radio(node.plan))
            self._keep(node.keep(), node.plan.label)

    def stop_nodes(self) -> None:
        """Ask all nodes to hand over what they have and end."""
        for node in self.nodes:
            node.stop()

    def check(self) -> None:
        """Raise the ToolError of whatever could not be kept running."""
        for task in self._tasks:
            if task.done() and not task.cancelled():
                task.result()

    async def close(self) -> None:
        """End everything, in the order in which the readings flow."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for node in self.nodes:
            await node.close()
        for child in (self.gateway, self.city, self.broker):
            await child.end(_END_S)
        if self._ether is not None:
            await self._ether.close()

    def _radio(self, plan: NodePlan) -> Wireless | None:
        return self._ether.radio(plan.label) if self._ether is not None and plan.on_ble else None

    def _child(self, name: str, *words: str) -> Child:
        return Child(name, [sys.executable, "-m", *words], self.folder / f"{name}.log")

    async def _launch(self, child: Child) -> None:
        await child.start()
        self._keep(child.keep(), child.name)

    def _keep(self, work: Coroutine[Any, Any, None], name: str) -> None:
        self._tasks.append(asyncio.create_task(work, name=name))

    async def _reach_broker(self) -> None:
        """Wait for the broker; one that has just been started may take its time."""
        deadline = asyncio.get_running_loop().time() + _BROKER_S
        while not await answers(self.address):
            self.check()
            if asyncio.get_running_loop().time() >= deadline:
                raise ToolError(f"no broker answers at {self.address}", f"see {self.folder}")
            await asyncio.sleep(_LOOK_S)


async def answers(address: Address) -> bool:
    """Say whether something accepts a TCP connection there."""
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(_CONNECT_S):
            _, writer = await asyncio.open_connection(address.host, address.port)
            writer.close()
            return True
    return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_LOCAL, 0))
        return int(probe.getsockname()[1])
