"""A gateway as its own process on virtual adapters, and nodes around it."""

import asyncio
import json
import signal
import sqlite3
import sys
from contextlib import asynccontextmanager, closing, suppress

from ble_node import BleNode

from lilong_tools.radio.air import Air
from lilong_tools.radio.model import RadioModel

KEY = bytes(range(16))
FAST_MS = 7.5
"""The shortest connection interval there is: most tests have nothing to learn from waiting."""


def eui_of(number):
    return bytes.fromhex(f"02004c494c4f{number:04x}")


class Site:
    """Everything around one gateway; `settings` are those of its table [ble]."""

    def __init__(self, folder, adapters=("hci0",), model=None, **settings):
        self.folder, self.adapters = folder, adapters
        self.air = Air(model or RadioModel(interval_ms=FAST_MS), seed=7)
        self.nodes = []
        self.others = []
        self.ports = {}
        self.process = None
        self.more = ""
        self.settings = {"adapters": list(adapters), **settings}
        self._on = []
        self._tasks = []

    @property
    def store(self):
        return self.folder / "data" / "store.db"

    @property
    def status_file(self):
        return self.folder / "status.json"

    def add(self, count=1, kind=BleNode, batches=0, **options):
        """Put nodes into the air; only those of the plain kind count as served."""
        made = []
        for _ in range(count):
            number = len(self.nodes) + len(self.others) + 1
            made.append(kind(self.air, f"node{number}", eui_of(number), KEY, **options))
            (self.nodes if kind is BleNode else self.others).append(made[-1])
            for _ in range(batches):
                made[-1].say()
        return made

    def join(self, other):
        """Put something into the air that has no key of its own."""
        self._tasks.append(asyncio.create_task(other.run()))
        return other

    def write(self):
        every = [*self.nodes, *self.others]
        keys = "".join(f'"{node.eui.hex()}" = "{node.key.hex()}"\n' for node in every)
        file = self.folder / "nodes.toml"
        file.write_text("[keys]\n" + keys)
        file.chmod(0o600)
        ble = "".join(f"{key} = {json.dumps(value)}\n" for key, value in self.settings.items())
        (self.folder / "gateway.toml").write_text(
            '[gateway]\nid = "gw"\nsite = "s"\ndata = "data"\n[nodes]\nkeys = "nodes.toml"\n'
            f'{self.more}[ble]\n{ble}[uplink]\nhost = "127.0.0.1"\nport = 9\n'
            '[status]\nfile = "status.json"\n'
        )

    async def start(self):
        words = [sys.executable, "-m", "lilong_tools.radio.gateway"]
        words += ["--interval-ms", str(FAST_MS), str(FAST_MS)]
        for adapter in self.adapters:
            if adapter not in self.ports:
                self.ports[adapter] = await self.air.serve(adapter)
            words += ["--adapter", f"{adapter}={self.ports[adapter].address}"]
        words += ["--", "run", "--config", str(self.folder / "gateway.toml")]
        with (self.folder / "gateway.log").open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(*words, stdout=log, stderr=log)

    async def kill(self):
        self.process.kill()
        await self.process.wait()

    async def keys(self, *words):
        """Run `lilong-gateway keys`, and have the gateway look."""
        command = [sys.executable, "-m", "lilong_gateway", "keys", *words, "--config"]
        process = await asyncio.create_subprocess_exec(
            *command, str(self.folder / "gateway.toml"), stdout=asyncio.subprocess.DEVNULL
        )
        assert await process.wait() == 0
        self.process.send_signal(signal.SIGHUP)

    def power(self, *nodes):
        """Switch nodes on, once each."""
        for node in nodes:
            if node not in self._on:
                self._on.append(node)
                self._tasks.append(asyncio.create_task(node.run()))

    def status(self):
        with suppress(OSError, ValueError):
            return json.loads(self.status_file.read_text())
        return {}

    def ble(self):
        return self.status().get("ble") or {}

    def why(self, node):
        """Why the gateway could not visit a node the last time, in its own words."""
        return self.ble().get("unreached", {}).get(node.eui.hex(), {}).get("why", "")

    def stored(self, stream=2):
        """Items by EUI, as they lie in the store; their numbers have to count from 0."""
        found, numbers = {}, {}
        path = f"file:{self.store}?mode=ro"
        with closing(sqlite3.connect(path, uri=True)) as store:
            rows = store.execute(
                "SELECT n.eui, b.seq, b.item FROM batch b JOIN node n ON n.id = b.node"
                " WHERE b.stream = ? ORDER BY b.node, b.seq",
                (stream,),
            )
            for eui, seq, item in rows:
                found.setdefault(eui, []).append(item)
                numbers.setdefault(eui, []).append(seq)
        assert all(seqs == list(range(len(seqs))) for seqs in numbers.values())
        return found

    def account(self):
        """Assert that all that the nodes have said is stored, once, as it was said."""
        for stream in (0, 2):
            said = {node.eui: node.said[stream] for node in self.nodes if node.said[stream]}
            stored = self.stored(stream)
            assert {eui: stored.get(eui, []) for eui in said} == said

    def log(self):
        return (self.folder / "gateway.log").read_text()

    async def drained(self, seconds=60):
        await until(lambda: not any(node.waiting for node in self.nodes), seconds)
        self.account()

    async def close(self):
        if self.process is not None and self.process.returncode is None:
            self.process.send_signal(signal.SIGTERM)
            async with asyncio.timeout(20):
                assert await self.process.wait() == 0, self.log()[-3000:]
        assert "Traceback" not in self.log(), self.log()[-3000:]
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for task in self._tasks:
            assert task.cancelled() or task.exception() is None, task.exception()
        for port in self.ports.values():
            await port.close()


@asynccontextmanager
async def running(site):
    site.write()
    site.power(*site.nodes, *site.others)
    await site.start()
    try:
        yield site
    except BaseException:
        print(json.dumps(site.ble(), indent=1), site.log()[-6000:])
        raise
    finally:
        await site.close()


async def until(true, seconds=60):
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.02)
