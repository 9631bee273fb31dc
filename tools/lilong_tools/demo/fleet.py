"""The virtual nodes, kept running."""

import asyncio
import json
import subprocess
import time
from pathlib import Path

from lilong_tools.demo.child import Patience
from lilong_tools.demo.plan import NodePlan
from lilong_tools.demo.replay import FILE
from lilong_tools.errors import NodeFailedError
from lilong_tools.vnode import Port, VirtualNode, make_folder
from lilong_tools.vnode.wireless import Wireless

TTY = "tty"
"""The port of a node that is served by it; others have theirs under another name."""

_CHIPS = "chips.json"
_PAUSE_S = 0.2
_ANSWER_S = 20.0
_WORD = "import sys; print(8 if sys.maxsize >> 31 else 4)"


def heap_bytes(micropython: Path, heap_kib: int) -> int:
    """Give the bytes of a heap of `heap_kib` KiB of a 32-bit machine on this MicroPython.

    A 64-bit one gets twice as much, since its objects are twice as big.
    """
    answer = subprocess.run(
        [micropython, "-c", _WORD], capture_output=True, check=False, timeout=_ANSWER_S
    )
    word = int(answer.stdout) if answer.stdout.strip().isdigit() else 4
    return heap_kib * 1024 * word // 4


class KeptNode:
    """One node: started again when it dies, until it has ended in order."""

    def __init__(self, plan: NodePlan, folder: Path, micropython: Path, heap_kib: int) -> None:
        """Write its folder; it has no power yet."""
        make_folder(folder, plan.settings, plan.key)
        if plan.recording is not None:
            (folder / FILE).symlink_to(plan.recording.path.resolve())
        if plan.chips is not None:
            (folder / _CHIPS).write_text(json.dumps(plan.chips), "utf-8")
        self.plan = plan
        self.folder = folder
        self.restarts = 0
        self.ended = False
        self._micropython = micropython
        self._heap_kib = heap_kib
        self._node: VirtualNode | None = None
        self._stopping = False

    @property
    def running(self) -> bool:
        """Whether it has power."""
        return self._node is not None and self._node.running

    async def start(self, radio: Wireless | None = None) -> None:
        """Give it power, and a radio if it is to have one; the wish to stop survives."""
        if self._node is None:
            self._node = VirtualNode(
                self.folder,
                self._micropython,
                heap_kib=self._heap_kib,
                port=Port(self.folder / (TTY if radio is None else "uart")),
                radio=radio,
            )
        await self._node.start()
        if self._stopping:
            self.stop()

    async def keep(self) -> None:
        """Start it again whenever it dies, until it ends in order; raise NodeFailedError."""
        patience = Patience()
        while self._node is not None and not self.ended:
            began = time.monotonic()
            try:
                await self._node.wait()
            except NodeFailedError:
                if not patience.lasts(time.monotonic() - began):
                    raise
                self.restarts += 1
                await asyncio.sleep(_PAUSE_S)
                await self.start()
            else:
                self.ended = True

    def stop(self) -> None:
        """Ask it to take no more readings, hand over what it has, and end."""
        self._stopping = True
        if not self.ended:
            (self.folder / "stop").touch()

    async def close(self) -> None:
        """Cut its power."""
        if self._node is not None:
            await self._node.close()
