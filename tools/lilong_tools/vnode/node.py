"""A virtual node as a process: power on, power off, resets, the port."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from lilong_tools.errors import NodeFailedError
from lilong_tools.leash import leashed
from lilong_tools.vnode.folder import Firmware, installed_firmware, read_eui
from lilong_tools.vnode.port import Port
from lilong_tools.vnode.wireless import NoRadio, Wireless

HEAP_KIB = 288
"""Heap of a node in KiB of a 32-bit machine.

The compiled code takes about 146 KiB of it, and 20 more once an update is pushed; the device has
it in flash instead. Compiling that part while the node runs takes room too. The rest is what an
ESP32 leaves to Python: 131 KiB after its start, less 40 for the BLE stack. A 64-bit MicroPython
gets twice as much, since its objects are twice as big.
"""

_REBOOT_S = 0.05
_POWER_ON, _HARD_RESET, _WATCHDOG, _DEEP_SLEEP = 1, 2, 3, 4
_ASLEEP = 76
_RESETS = {75: _HARD_RESET, -signal.SIGALRM: _WATCHDOG, _ASLEEP: _DEEP_SLEEP}
"""Exit status of a node that starts again by itself, and the cause it then reads."""


class VirtualNode:
    """One node in its state folder; it starts without power.

    Use it inside one event loop, as a context manager or with `close()` at the end. Whatever
    happens to this process, the node does not outlive the thread that runs the loop. Without a
    `radio` it has none; `environment` is what else its program finds in its environment.
    """

    def __init__(
        self,
        folder: Path,
        micropython: Path,
        *,
        heap_kib: int = HEAP_KIB,
        port: Port | None = None,
        radio: Wireless | None = None,
        firmware: Firmware | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self.eui = read_eui(folder)
        self.port = Port(folder / "tty") if port is None else port
        self.radio: Wireless = NoRadio() if radio is None else radio
        self.boots = 0
        self._micropython = micropython
        self._heap_kib = heap_kib + self.radio.heap_kib
        self._firmware = installed_firmware() if firmware is None else firmware
        self._environment = dict(environment or {})
        self._process: asyncio.subprocess.Process | None = None
        self._life: asyncio.Task[int] | None = None
        self._powered = False
        self._roused = asyncio.Event()

    @property
    def log(self) -> Path:
        """The file with all that the node printed."""
        return self.folder / "console.log"

    @property
    def running(self) -> bool:
        """Whether the node has power and has not ended."""
        return self._life is not None and not self._life.done()

    @property
    def pid(self) -> int | None:
        """The id of its present process; none while it sleeps."""
        process = self._process
        if process is None or process.returncode is not None or not self.running:
            return None
        return process.pid

    def rouse(self) -> None:
        """End its sleep, if it sleeps."""
        self._roused.set()

    async def start(self) -> None:
        """Give it power: the port appears, main.py runs, and again after each reset."""
        if self.running:
            return
        self.port.plug()
        (self.folder / "stop").unlink(missing_ok=True)
        self._powered = True
        process = await self._boot(_POWER_ON)
        self._life = asyncio.create_task(self._live(process), name=f"vnode {self.eui}")

    async def kill(self) -> None:
        """Cut its power (SIGKILL); the port stays."""
        if self._life is None or self._process is None:
            return
        self._powered = False
        self.rouse()
        # Process.kill can take the exit status from asyncio, which then reports another.
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._process.pid, signal.SIGKILL)
        await asyncio.wait([self._life])

    async def wait(self) -> None:
        """Wait until it ended by itself; NodeFailedError unless in good order (exit status 0)."""
        if self._life is None:
            return
        status = await asyncio.shield(self._life)
        if status != 0:
            problem = f"the virtual node {self.eui} ended with status {status}"
            raise NodeFailedError(
                f"{problem}, its last words: {self._last_words()!r}", self._see()
            )

    async def stop(self, timeout_s: float) -> None:
        """Ask for the orderly end and wait for it; NodeFailedError when it does not come.

        The node takes no more readings and ends when all it has is acknowledged. It has no power
        afterwards in any case.
        """
        if not self.running:
            return
        (self.folder / "stop").touch()
        self.rouse()
        try:
            async with asyncio.timeout(timeout_s):
                await self.wait()
        except TimeoutError as error:
            await self.kill()
            problem = f"the virtual node {self.eui} did not end within {timeout_s:g} s"
            raise NodeFailedError(problem, self._see()) from error

    async def vanish(self) -> None:
        """Pull the plug of the port; a node on a plain `Port` loses its power with it."""
        if not self.port.outlives_plug:
            await self.kill()
        self.port.unplug()

    async def return_(self) -> None:
        """Plug the port in again; a node that has no power gets it."""
        self.port.plug()
        await self.start()

    async def close(self) -> None:
        """Cut its power and give everything back but the folder."""
        await self.kill()
        self.port.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def _live(self, process: asyncio.subprocess.Process) -> int:
        """Start the process again as long as it resets itself; its last status."""
        while (status := await self._end(process)) in _RESETS:
            await self._pause(_RESETS[status])
            if not self._powered:
                break
            process = await self._boot(_RESETS[status])
            if not self._powered:
                process.kill()
        return status

    async def _end(self, process: asyncio.subprocess.Process) -> int:
        status = await process.wait()
        self.radio.end()
        return status

    async def _pause(self, cause: int) -> None:
        """Wait for the reset; a sleep lasts as long as the node has asked for, in real time."""
        if cause != _DEEP_SLEEP:
            await asyncio.sleep(_REBOOT_S)
            return
        pause_s = int((self.folder / "deepsleep").read_text("ascii")) / 1000
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._roused.wait(), pause_s)

    async def _boot(self, cause: int) -> asyncio.subprocess.Process:
        self._roused.clear()
        await self.radio.begin()
        heap = f"heapsize={self._heap_kib}wK"
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *leashed([self._micropython, "-X", heap, self._firmware.program]),
                cwd=self.folder,
                env=self._surroundings(cause),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(self.port.node_end, *self.radio.node_ends),
                # MicroPython gives files no mode, and the key is written again when it changes.
                umask=0o077,
                # Of its own, so that Ctrl-C on the terminal reaches the harness alone.
                start_new_session=True,
            )
        self.radio.begun()
        self.boots += 1
        return self._process

    def _surroundings(self, cause: int) -> dict[str, str]:
        """Give the environment of the process that is about to start."""
        return {
            "MICROPYPATH": ":".join([*self.radio.module_path, self._firmware.micropypath]),
            "VNODE_EUI": self.eui,
            "VNODE_RESET_CAUSE": str(cause),
            "VNODE_UART": str(self.port.node_end),
            **self.radio.environment,
            **self._environment,
        }

    def _last_words(self) -> str:
        try:
            lines = self.log.read_text("utf-8", "replace").split("\n")
        except OSError:
            return ""
        return next((line.strip() for line in reversed(lines) if line.strip()), "")

    def _see(self) -> str:
        return f"see {self.log}"
