"""The programs of a bench: a gateway with its files, a broker, a city, all on loopback."""

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from lilong_tools.bench.ble.process import GatewayProcess, process_s
from lilong_tools.bench.ble.watch import until
from lilong_tools.demo.child import Child
from lilong_tools.errors import ToolError

_LOOK_S = 0.05
_START_S = 30.0
_END_S = 10.0


class MeasuredGateway(GatewayProcess):
    """A gateway process whose memory is looked at too."""

    def __init__(self, folder: Path) -> None:
        super().__init__([sys.executable, "-m", "lilong_gateway"], folder)

    @property
    def rss_mb(self) -> float:
        """Resident memory in 10^6 bytes, 0 while it does not run: proc(5)."""
        if self._process is None or self._process.returncode is not None:
            return 0.0
        pages = int(Path(f"/proc/{self._process.pid}/statm").read_text("ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

    async def begin(self) -> dict[str, Any]:
        """Start it, and return its first status; ToolError when none comes."""
        await self.start()
        try:
            async with asyncio.timeout(_START_S):
                return await self.status()
        except TimeoutError:
            raise ToolError("the gateway writes no status", "see its log") from None


class City(Child):
    """The city's process."""

    def __init__(self, port: int, folder: Path) -> None:
        self.store = folder / "city.db"
        words = ["city", "--broker", f"127.0.0.1:{port}", "--db", str(self.store)]
        command = [sys.executable, "-m", "lilong_tools", *words]
        super().__init__("city", command, folder / "city.log")

    @property
    def cpu_s(self) -> float:
        """The processor seconds that it has taken, 0 while it does not run."""
        return process_s(self._process.pid) if self._process and self.running else 0.0


def waiting(status: Mapping[str, Any]) -> int | None:
    """Return how many batches are not confirmed yet, None while the status does not say.

    Whoever says it, the store or a sink of the uplink: the largest number counts.
    """
    uplink = status.get("uplink")
    sinks = uplink if isinstance(uplink, list) else [uplink]
    if isinstance(uplink, dict):
        sinks = [uplink, *uplink.values()]
    told = [one.get("waiting") for one in (*sinks, status.get("store")) if isinstance(one, dict)]
    return max((number for number in told if isinstance(number, int)), default=None)


def write_gateway(
    folder: Path, keys: Mapping[bytes, bytes], ports: Sequence[str], broker_port: int
) -> None:
    """Write configuration and keys (mode 0600) of a gateway; the city confirms."""
    lines = ["[keys]", *(f'"{eui.hex()}" = "{key.hex()}"' for eui, key in keys.items())]
    place = os.open(folder / "nodes.toml", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(place, "w") as file:
        file.write("\n".join(lines) + "\n")
    listed = ", ".join(f'"{port}"' for port in ports)
    (folder / "gateway.toml").write_text(
        '[gateway]\nid = "gw"\nsite = "bench"\ndata = "data"\n'
        f'[nodes]\nkeys = "nodes.toml"\n[serial]\nports = [{listed}]\n'
        f'[uplink]\nhost = "127.0.0.1"\nport = {broker_port}\nconfirm = "city"\n'
        '[status]\nfile = "status.json"\n',
        "utf-8",
    )


def free_port() -> int:
    """Return a TCP port of loopback on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@asynccontextmanager
async def broker(mosquitto: Path, folder: Path) -> AsyncIterator[int]:
    """Run Mosquitto as it comes, and give its port."""
    port = free_port()
    text = f"listener {port} 127.0.0.1\nallow_anonymous true\nuser root\n"
    settings = folder / "mosquitto.conf"
    settings.write_text(text + "log_type error\nlog_type subscribe\n", "utf-8")
    log = folder / "broker.log"
    async with _running(Child("broker", [str(mosquitto), "-c", str(settings)], log)):
        await _answers(port)
        yield port


@asynccontextmanager
async def city(port: int, folder: Path) -> AsyncIterator[City]:
    """Run the city, and give it once it has subscribed at the broker in that folder."""
    child = City(port, folder)
    async with _running(child):
        await _said(folder / "broker.log", "/telemetry/")
        yield child


@asynccontextmanager
async def _running(child: Child) -> AsyncIterator[None]:
    await child.start()
    try:
        yield
    finally:
        await child.end(_END_S)


async def _answers(port: int) -> None:
    """Wait until somebody listens on a port of loopback; ToolError when nobody does."""
    for _ in range(round(_START_S / _LOOK_S)):
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(_LOOK_S)
        else:
            writer.close()
            return
    raise ToolError(f"nobody listens on port {port}", "see whether the broker runs at all")


async def _said(log: Path, word: str) -> None:
    """Wait for a word in a log; ToolError when it does not come."""
    if not await until(lambda: word in log.read_text("utf-8", "replace"), _START_S):
        raise ToolError(f"{log.name} never says {word!r}", "see whether it runs at all")
