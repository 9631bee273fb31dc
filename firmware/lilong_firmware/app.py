"""The node from its start to its end: put together, relieved of what only did that, run."""

import asyncio
import gc
import time

from lilong_firmware.crash import DUTY_FAILED, CrashNotes, describe
from lilong_firmware.errors import SettingsError
from lilong_firmware.keys import read_keys
from lilong_firmware.node import heap_bytes
from lilong_firmware.unload import unload
from lilong_protocol.portable import TYPE_CHECKING, const

if TYPE_CHECKING:
    from lilong_firmware.board import Board
    from lilong_firmware.clock import Clock
    from lilong_firmware.node import Node, Prepared
    from lilong_firmware.sleep.probe import OpenProbe
    from lilong_firmware.sleep.waking import Waking
    from lilong_protocol.node_keys import NodeKeys
    from loader import Boot

_PAUSE_S = const(2)


class App:
    """Everything that runs on one board, in the folder that is current.

    `waking` is what a deep sleep has left, `probe` measures in the place of what settings name.
    """

    def __init__(
        self,
        board: "Board",
        boot: "Boot",
        waking: "Waking | None" = None,
        probe: "OpenProbe | None" = None,
    ) -> None:
        self._board = board
        self._boot = boot
        self._waking = waking
        self._probe = probe
        self._code = heap_bytes()

    def run(self) -> None:
        """Run until an orderly end. Without a usable key the node cannot talk: it says so.

        An error outside of all duties is noted and resets the node too: MicroPython's prompt
        would wait for a person.
        """
        board = self._board
        try:
            keys = read_keys("key.bin", self._boot.keep)
        except SettingsError as problem:
            board.log(str(problem))
            board.give_up()
            return
        clock = board.clock() if self._waking is None else self._waking.clock
        notes = CrashNotes("crash.txt", "reset.txt", board)
        if self._boot.returned:
            notes.early = 0
        try:
            prepared = self._prepared(clock, notes)
            unload_start()
            node = self._assembled(prepared, keys)
            del prepared
            unload_start()
            asyncio.run(node.run())
        except Exception as error:  # noqa: BLE001 - whatever it is, nobody else would handle it
            board.log("the node failed: " + repr(error))
            notes.write(DUTY_FAILED, "node", clock.uptime_ms(), describe(error))
            time.sleep(_PAUSE_S)
            board.reset()

    # Each half of the start in a function of its own: what it loads goes with its frame.

    def _prepared(self, clock: "Clock", notes: CrashNotes) -> "Prepared":
        before = heap_bytes()
        from lilong_firmware.preparation import prepare  # noqa: PLC0415 - see above

        self._code += heap_bytes() - before
        return prepare(self._board, self._boot, clock, notes, self._waking, self._probe)

    def _assembled(self, prepared: "Prepared", keys: "NodeKeys") -> "Node":
        before = heap_bytes()
        from lilong_firmware.assembly import Assembly  # noqa: PLC0415 - see above

        self._code += heap_bytes() - before
        return Assembly(prepared, keys).node(self._code)


def unload_start() -> None:
    """Forget the modules that only the start needs, and take their memory back."""
    unload(
        "lilong_firmware.assembly",
        "lilong_firmware.ble.build",
        "lilong_firmware.boot",
        "lilong_firmware.fields",
        "lilong_firmware.introduction",
        "lilong_firmware.inventory",
        "lilong_firmware.preparation",
        "lilong_firmware.sensors.catalogue",
        "lilong_firmware.settings",
        "lilong_firmware.source",
        "lilong_firmware.version",
        "lilong_protocol.descriptor",
    )
    gc.collect()
