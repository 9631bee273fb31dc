"""A process that is started again whenever it ends, for whatever reason, as systemd would."""

import asyncio
import os
import signal
import time
from contextlib import suppress

from lilong_tools.leash import leashed

_PAUSE_S = 0.1
_PATIENCE_S = 10.0


class Unit:
    """One program; `lives` counts its starts, `ends` how each life ended."""

    def __init__(self, name, command, log):
        self.name = name
        self.lives = 0
        self.ends = []
        self._command = leashed(command)
        self._log = log
        self._process = None
        self._task = None
        self._allowed = asyncio.Event()
        self._allowed.set()

    @property
    def pid(self):
        """The process while it lives, else None."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    async def start(self):
        self._task = asyncio.create_task(self._keep())

    def send(self, number):
        if self.pid is not None:
            with suppress(ProcessLookupError):  # it has just ended, and that is not known yet
                os.kill(self.pid, number)

    async def stop(self, number=signal.SIGKILL):
        """End it, and let nobody start it before `release`."""
        self._allowed.clear()
        self.send(number)
        end_s = time.monotonic() + _PATIENCE_S
        while self.pid is not None:
            await asyncio.sleep(0.01)
            if time.monotonic() > end_s:
                self.send(signal.SIGKILL)

    def release(self):
        self._allowed.set()

    async def close(self):
        """Ask it to end; give its exit status, None when it had to be killed."""
        self._allowed.clear()
        self.send(signal.SIGCONT)
        self.send(signal.SIGTERM)
        process = self._process
        try:
            async with asyncio.timeout(_PATIENCE_S):
                status = 0 if process is None else await process.wait()
        except TimeoutError:
            status = None
            self.send(signal.SIGKILL)
            await process.wait()
        if self._task is not None:
            self._task.cancel()
        return status

    async def _keep(self):
        while True:
            await self._allowed.wait()
            with self._log.open("ab") as log:
                self._process = await asyncio.create_subprocess_exec(
                    *self._command,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            self.lives += 1
            self.ends.append(await self._process.wait())
            await asyncio.sleep(_PAUSE_S)
