"""A D-Bus daemon of one's own, on which a process may own the name org.bluez."""

import asyncio
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

from lilong_tools.errors import ToolError
from lilong_tools.leash import leashed

ADDRESS_VARIABLE = "DBUS_SYSTEM_BUS_ADDRESS"
"""The environment variable that leads a program to this bus instead of the system's."""

_START_S = 20
_CONFIGURATION = """\
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <listen>unix:path={folder}/bus</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow own="org.bluez"/>
    <allow send_destination="*" eavesdrop="false"/>
    <allow receive_sender="*"/>
  </policy>
</busconfig>
"""


class PrivateBus:
    """A dbus-daemon in a folder of its own; an asynchronous context that ends with it."""

    def __init__(self, program: Path) -> None:
        """Keep the path of dbus-daemon (1.12 or newer); nothing is started."""
        self._program = program
        self._folder = tempfile.TemporaryDirectory(prefix="lilong-bus-")
        self._process: asyncio.subprocess.Process | None = None
        self.address = ""

    async def __aenter__(self) -> Self:
        """Start the daemon and learn its address; ToolError when it does not start."""
        folder = Path(self._folder.name)
        configuration = folder / "bus.conf"
        configuration.write_text(_CONFIGURATION.format(folder=folder), "utf-8")
        options = ["--nofork", "--nopidfile", "--nosyslog", "--print-address=1"]
        with (folder / "log").open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                *leashed([self._program, f"--config-file={configuration}", *options]),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
            )
        self.address = await self._first_line(self._process)
        if not self.address:
            said = (folder / "log").read_text("utf-8", "replace").strip() or "it says nothing"
            await self.close()
            raise ToolError(f"{self._program} does not start ({said})", "install another one")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the daemon."""
        await self.close()

    async def close(self) -> None:
        """End the daemon, as if the machine's bus were restarted; once is enough."""
        if self._process is not None:
            if self._process.returncode is None:
                self._process.kill()
            await self._process.wait()
            self._process = None
        self._folder.cleanup()

    @staticmethod
    async def _first_line(process: asyncio.subprocess.Process) -> str:
        if process.stdout is None:
            return ""
        try:
            async with asyncio.timeout(_START_S):
                return (await process.stdout.readline()).decode("ascii", "replace").strip()
        except TimeoutError:
            return ""
