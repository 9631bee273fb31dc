"""A program that is kept running: started again when it dies, ended when asked."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path

from lilong_tools.errors import ToolError
from lilong_tools.leash import leashed

_SHORT_LIFE_S = 2.0
_SHORT_LIVES = 5
_PAUSE_S = 0.2


class Patience:
    """Counts lives that were too short; it runs out when several follow each other."""

    def __init__(self) -> None:
        """Begin with none."""
        self._short = 0

    def lasts(self, lived_s: float) -> bool:
        """Take the length of a life; say whether another is worth a try."""
        self._short = self._short + 1 if lived_s < _SHORT_LIFE_S else 0
        return self._short < _SHORT_LIVES


class Child:
    """One program with its log file; `keep` runs it until `end`."""

    def __init__(self, name: str, command: Sequence[str | os.PathLike[str]], log: Path) -> None:
        """Say what to run; nothing is started yet."""
        self.name = name
        self.restarts = 0
        self._command = leashed(command)
        self._log = log
        self._process: asyncio.subprocess.Process | None = None
        self._ending = False

    @property
    def running(self) -> bool:
        """Whether the program runs at this moment."""
        return self._process is not None and self._process.returncode is None

    async def start(self) -> None:
        """Start it once; nothing of the terminal reaches it, neither keys nor signals."""
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    async def keep(self) -> None:
        """Start it again whenever it dies, until `end`; raise ToolError if it never lives long."""
        patience = Patience()
        while self._process is not None:
            began = time.monotonic()
            await self._process.wait()
            if self._ending:
                return
            if not patience.lasts(time.monotonic() - began):
                raise ToolError(
                    f"the {self.name} ends at once: {self.last_words()}", f"see {self._log}"
                )
            self.restarts += 1
            await asyncio.sleep(_PAUSE_S)
            if not self._ending:
                await self.start()

    async def end(self, timeout_s: float) -> None:
        """Ask it to end (SIGTERM), kill it when it does not in time."""
        self._ending = True
        if self._process is None:
            return
        self._signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(timeout_s):
                await self._process.wait()
        except TimeoutError:
            self._signal(signal.SIGKILL)
            await self._process.wait()

    def _signal(self, number: signal.Signals) -> None:
        """Send it; not by Process.send_signal, which can take the exit status from asyncio."""
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._process.pid, number)

    def last_words(self) -> str:
        """Give the last line that it wrote."""
        try:
            lines = self._log.read_text("utf-8", "replace").split("\n")
        except OSError:
            return ""
        return next((line.strip() for line in reversed(lines) if line.strip()), "")
