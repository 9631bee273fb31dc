"""Everything of one run: gateway, proxy, Mosquitto, city, nodes, in a folder of their own."""

import asyncio
import json
import os
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from accounts import Accounts
from cities import CityHere, CityProcess
from paper_node import PaperNode
from proxy import Proxy
from unit import Unit

from lilong_tools.city.arrivals import Arrivals

ROOM_BYTES = 12 << 20
HELD = Path(__file__).with_name("held_gateway.py")


@dataclass(frozen=True)
class Plan:
    """What a run is made of, drawn from its seed."""

    held: bool
    confirm: str
    form: str
    version: str
    window: int
    keep_confirmed_s: int
    nodes: int
    backlog: int
    city_process: bool
    wrong: str | None
    mounts: bool


class Street:
    """Made inside a running event loop."""

    def __init__(self, folder, plan, mosquitto, dice):
        self.folder = folder
        self.plan = plan
        self.dice = dice
        self.data = folder / "data"
        self.data.mkdir()
        if plan.mounts:
            size = ["-o", f"size={ROOM_BYTES}"]
            subprocess.run(["mount", "-t", "tmpfs", *size, "tmpfs", str(self.data)], check=True)
        broker_port, proxy_port = free_ports(2)
        self.proxy = Proxy(proxy_port, broker_port)
        self.nodes = [self._node(number) for number in range(plan.nodes)]
        self.config = self._write_config()
        self.gateway = Unit("gateway", self._command(), folder / "gateway.log")
        self._broker_log = folder / "broker.log"
        broker = [str(mosquitto), "-c", self._broker_file(broker_port)]
        self.broker = Unit("broker", broker, self._broker_log)
        city = folder / "city.db"
        self.city = (
            CityProcess(city, broker_port, folder / "city.log")
            if plan.city_process
            else CityHere(city, broker_port)
        )
        self.accounts = Accounts(folder / "gateway.log", folder / "status.json")
        self.arrivals = Arrivals(city)
        self.held = set()
        """What the city has, as (eui, stream, seq)."""
        self.offsets_ms = {0}
        """By how much the gateway's clock was ever wrong."""

    async def open(self):
        """Start all; nodes have something to tell at once."""
        await self.broker.start()
        await self.proxy.open()
        await self.city.start()
        for node in self.nodes:
            node.start()
        for _ in range(self.plan.backlog):
            self.dice.choice(self.nodes).say()
        await self._subscribed()
        await self.gateway.start()

    async def close(self):
        """End all; give the exit status of the gateway."""
        for node in self.nodes:
            node.close()
        status = await self.gateway.close()
        await self.proxy.close()
        await self.city.close()
        await self.broker.close()
        return status

    def leave(self):
        """Give back what the system lent."""
        if self.plan.mounts:
            subprocess.run(["umount", "-l", str(self.data)], check=False)

    def look(self):
        """Learn what has arrived, and what the gateway says of itself."""
        for one in self.arrivals.fresh():
            self.held.add((one.eui, one.key[1], one.key[2]))
        self.accounts.look()

    def acknowledged(self):
        """All that any node was acknowledged, as (eui, stream, seq)."""
        return {
            (node.eui.hex(), stream, seq)
            for node in self.nodes
            for stream, seq in node.acknowledged()
        }

    def set_clock(self, told):
        """Let the gateway's clock be wrong by so many ms, or "unset"."""
        file = self.folder / "clock.new"
        file.write_text(str(told))
        file.rename(self.folder / "clock")
        if isinstance(told, int):
            self.offsets_ms.add(told)

    async def _subscribed(self):
        """Wait until the broker knows of the city: what comes before is for nobody."""
        async with asyncio.timeout(20):
            while b"/telemetry" not in self._broker_log.read_bytes():
                await asyncio.sleep(0.02)

    def _node(self, number):
        eui = bytes.fromhex("0a1b2c3d4e5f60") + bytes([number])
        folder = self.folder / "nodes" / str(number)
        folder.mkdir(parents=True)
        path = folder / "tty" if number < self.plan.nodes - 1 else None
        return PaperNode(eui, self.dice.randbytes(16), path, self.dice)

    def _command(self):
        words = [sys.executable]
        if not self.plan.held:
            return [*words, "-m", "lilong_gateway", "run", "--config", str(self.config)]
        words += [str(HELD), "--folder", str(self.folder), "--config", str(self.config)]
        return words if self.plan.wrong is None else [*words, "--wrong", self.plan.wrong]

    def _broker_file(self, port):
        lines = [f"listener {port} 127.0.0.1", "allow_anonymous true", "max_queued_messages 0"]
        lines += [f"log_type {kind}" for kind in ("error", "warning", "notice", "subscribe")]
        if os.getuid() == 0:
            lines.append("user root")
        if self.plan.confirm == "broker":
            lines += ["persistence true", f"persistence_location {self.folder}/"]
        file = self.folder / "mosquitto.conf"
        file.write_text("\n".join(lines) + "\n")
        return str(file)

    def _write_config(self):
        plan = self.plan
        keys = [f'"{node.eui.hex()}" = "{node.key.hex()}"' for node in self.nodes]
        file = self.folder / "nodes.toml"
        file.write_text("\n".join(["[keys]", *keys]) + "\n")
        file.chmod(0o600)
        ports = [f"{self.folder}/nodes/*/tty", self.nodes[-1].line.port]
        config = self.folder / "gateway.toml"
        config.write_text(
            f"""[gateway]
id = "gw-1"
site = "street"
data = "data"
[nodes]
keys = "nodes.toml"
[serial]
ports = {json.dumps(ports)}
scan_s = 0.1
[uplink]
host = "127.0.0.1"
port = {self.proxy.port}
version = "{plan.version}"
format = "{plan.form}"
confirm = "{plan.confirm}"
window = {plan.window}
keepalive_s = 5
timeout_s = 2
[store]
keep_confirmed_s = {plan.keep_confirmed_s}
[status]
file = "status.json"
"""
        )
        return config


def free_ports(count):
    """Find TCP ports that nobody uses."""
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports
