"""What a wake from deep sleep does before, and mostly instead of, the start of the whole node."""

import asyncio

from lilong_firmware.errors import SettingsError
from lilong_firmware.files import file_exists
from lilong_firmware.sleep.clock import SleepClock
from lilong_firmware.sleep.nap import early_ms, is_full, sleep, strike, take_round
from lilong_firmware.sleep.probe import open_probe, read_fields
from lilong_firmware.sleep.retained import Retained
from lilong_firmware.sleep.settings import SleepSettings
from lilong_firmware.sleep.state import QUIET
from lilong_protocol.portable import TYPE_CHECKING, const

if TYPE_CHECKING:
    from lilong_firmware.board import Board
    from lilong_firmware.sleep.probe import OpenProbe
    from lilong_firmware.sleep.state import State

_SETTINGS = "settings.json"
_STRIKES = const(3)


class Waking:
    """A wake that has a state to go on from: its clock and its boot are those of before."""

    def __init__(
        self, board: "Board", retained: Retained, state: "State", probe: "OpenProbe"
    ) -> None:
        self._board = board
        self._open_probe = probe
        self.retained = retained
        self.state = state
        self.boot_id = state.boot_id
        self.clock = SleepClock(state, board.clock(), board.rtc_ms())

    def sleep_on(self) -> None:
        """Take a round and sleep; return when the whole node must start.

        An unexpected error costs the round, no more: it is noted and leads to a whole start,
        after a reset, when it is the third in a row, then the sixth, the twelfth and so on.
        """
        try:
            whole = self._round()
        except SettingsError:
            return
        except Exception as error:  # noqa: BLE001 - whatever it is, the rounds must outlive it
            self._failed(error)
            whole = False
        if not whole:
            sleep(self._board, self.retained, self.state, self.clock)

    def _round(self) -> bool:
        """Whether the whole node must start."""
        state, board = self.state, self._board
        fields = read_fields(_SETTINGS)
        asked = board.may_stop and file_exists(fields.text("stop_file", 200, "stop"))
        if asked or not fields.has("sleep"):
            return True
        settings = SleepSettings(fields.object("sleep"))
        soon_ms = self.clock.uptime_ms() + early_ms(settings)
        news = False
        if not state.has(QUIET) and soon_ms >= state.due_ms:
            probe = self._open_probe(fields, self.clock, self.boot_id, board.log)
            news = asyncio.run(take_round(state, probe, self.clock, settings))
        state.strikes = 0
        if not (news or soon_ms >= state.send_ms or is_full(state, settings)):
            return False
        self.retained.save(state)
        return True

    def _failed(self, error: Exception) -> None:
        """Count it; where a whole start is due, write it down and reset."""
        state, board, clock = self.state, self._board, self.clock
        board.log("wake: " + repr(error))
        strike(state, clock.uptime_ms())
        times = state.strikes // _STRIKES
        if state.strikes % _STRIKES == 0 and times & (times - 1) == 0:
            # Needed here alone.
            from lilong_firmware.crash import DUTY_FAILED, CrashNotes, describe  # noqa: PLC0415

            self.retained.save(state)
            notes = CrashNotes("crash.txt", "reset.txt", board)
            notes.write(DUTY_FAILED, "wake", clock.uptime_ms(), describe(error))
            board.reset()


def awaken(board: "Board", probe: "OpenProbe | None" = None) -> "Waking | None":
    """Return what the retained memory holds for this wake, None for nothing of ours.

    `probe` takes the place of what the settings measure with.
    """
    retained = Retained(board)
    state = retained.state
    return None if state is None else Waking(board, retained, state, probe or open_probe)
