"""A gateway as a process of its own: what it costs, what it says of itself."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from lilong_tools.errors import ToolError
from lilong_tools.leash import leashed

ADAPTER = "hci0"
_END_S = 20.0
_LOOK_S = 0.05
_USER, _SYSTEM = 11, 12
"""Fields of /proc/PID/stat behind the name of the program: proc(5)."""


def process_s(pid: int | str) -> float:
    """Return the processor seconds that a process ("self": this one) has taken."""
    fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    return (int(fields[_USER]) + int(fields[_SYSTEM])) / os.sysconf("SC_CLK_TCK")


def write_gateway(folder: Path, keys: Mapping[str, bytes], slots: int) -> Path:
    """Write configuration and keys (mode 0600) of a gateway that nobody is north of."""
    lines = ["[keys]", *(f'"{eui}" = "{key.hex()}"' for eui, key in keys.items())]
    place = os.open(folder / "nodes.toml", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(place, "w") as file:
        file.write("\n".join(lines) + "\n")
    path = folder / "gateway.toml"
    path.write_text(
        f'[gateway]\nid = "gw"\nsite = "bench"\ndata = "data"\n[nodes]\nkeys = "nodes.toml"\n'
        f'[ble]\nadapters = ["{ADAPTER}"]\nslots = {slots}\n'
        '[uplink]\nhost = "127.0.0.1"\nport = 9\n[status]\nfile = "status.json"\n',
        "utf-8",
    )
    return path


def on_virtual_adapter(transport: str) -> list[str]:
    """Return the command, up to its own words, of a gateway whose bleak knows this adapter."""
    module = [sys.executable, "-m", "lilong_tools.radio.gateway"]
    return [*module, "--adapter", f"{ADAPTER}={transport}", "--"]


class GatewayProcess:
    """Runs in `folder`, with the configuration that is there; ends with this process."""

    def __init__(self, command: Sequence[str], folder: Path) -> None:
        self._command = leashed([*command, "run", "--config", str(folder / "gateway.toml")])
        self._folder = folder
        self._process: asyncio.subprocess.Process | None = None

    @property
    def store(self) -> Path:
        """Its database."""
        return self._folder / "data" / "store.db"

    @property
    def cpu_s(self) -> float:
        """The processor seconds that it has taken."""
        self._check()
        return process_s(self._process.pid) if self._process else 0.0

    async def start(self) -> None:
        """Start it."""
        with (self._folder / "gateway.log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._command, stdout=log, stderr=log, start_new_session=True
            )

    async def status(self, after_ms: int = 0) -> dict[str, Any]:
        """Wait for a status that was written after that UNIX time, and return it."""
        while True:
            self._check()
            with suppress(OSError, ValueError):
                found = self.last_status()
                if (found["unix_ms"] or 0) > after_ms:
                    return found
            await asyncio.sleep(_LOOK_S)

    def last_status(self) -> dict[str, Any]:
        """Return its latest status; there is one more when it ends. OSError, ValueError."""
        found: dict[str, Any] = json.loads((self._folder / "status.json").read_text("utf-8"))
        return found

    async def end(self) -> None:
        """Ask it to end, and kill it when it does not."""
        process = self._process
        if process is None or process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGTERM)
        try:
            async with asyncio.timeout(_END_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()

    def _check(self) -> None:
        if self._process is not None and self._process.returncode is not None:
            *_, last = ["", *(self._folder / "gateway.log").read_text("utf-8").split("\n")[:-1]]
            raise ToolError(f"the gateway has ended: {last}", "see whether it runs at all")
