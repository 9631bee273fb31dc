"""A node of the bench: the firmware on MicroPython, with a recording to play and a trace."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lilong_tools.bench.ble.account import follow
from lilong_tools.bench.ble.process import process_s
from lilong_tools.bench.ble.script import ALARM, RECORDING
from lilong_tools.errors import ToolError
from lilong_tools.radio.air import Air
from lilong_tools.radio.plug import Radio
from lilong_tools.vnode import VirtualNode, make_folder

_LOOK_S = 0.05


class Player:
    """Has a folder, a radio and no power yet."""

    def __init__(
        self, folder: Path, settings: Mapping[str, Any], key: bytes, air: Air, micropython: Path
    ) -> None:
        make_folder(folder, settings, key)
        self.eui = str(settings["eui"])
        self.recording = folder / RECORDING
        self._radio = Radio(air, folder.name)
        self._node = VirtualNode(folder, micropython, radio=self._radio)
        self._file, self.trace = follow(folder / str(settings["trace"]), ALARM)

    @property
    def running(self) -> bool:
        """Whether it has power and has not ended."""
        return self._node.running

    @property
    def cpu_s(self) -> float:
        """The processor seconds that it has taken; 0 when it has ended."""
        return process_s(self._node.pid) if self._node.pid else 0.0

    async def start(self) -> None:
        """Give it power."""
        await self._node.start()

    def read(self) -> None:
        """Take what its trace says by now."""
        self._file.read()

    async def close(self) -> None:
        """Cut its power and leave the air."""
        await self._node.close()
        self._radio.close()


async def ready(players: Sequence[Player], true: Callable[[Player], bool], limit_s: float) -> None:
    """Read the traces until it is so of all of them; ToolError when that takes too long."""
    end = time.monotonic() + limit_s
    late = list(players)
    while late := [player for player in late if not true(player)]:
        if time.monotonic() >= end:
            problem = f"{len(late)} of {len(players)} nodes are not ready after {limit_s:.0f} s"
            raise ToolError(problem, "give fewer --nodes, or this machine less to do")
        await asyncio.sleep(_LOOK_S)
        for player in late:
            player.read()
