"""One round of readings, and the sleep after it."""

import asyncio

from lilong_firmware.errors import SensorError
from lilong_firmware.sleep.clock import keep_time, timer_ms
from lilong_firmware.sleep.retained import LOG_BYTES
from lilong_firmware.sleep.rounds import add_round, most_bytes
from lilong_firmware.sleep.state import ALARMED, QUIET
from lilong_protocol.portable import TYPE_CHECKING, const

if TYPE_CHECKING:
    from lilong_firmware.board import Board
    from lilong_firmware.clock import Clock
    from lilong_firmware.sleep.probe import Probe
    from lilong_firmware.sleep.retained import Retained
    from lilong_firmware.sleep.settings import SleepSettings
    from lilong_firmware.sleep.state import State

_LONGEST_S = const(20)
_MOST_STRIKES = const(192)
_EARLY_MS = const(500)
_EIGHTHS = const(8)
_LONGEST_MS = const(86400000)


async def take_round(
    state: "State", probe: "Probe", clock: "Clock", settings: "SleepSettings"
) -> bool:
    """Take what is due into the log; whether it is news that cannot wait.

    A sensor that gives nothing, or does not come to an end, is counted.
    """
    now_ms = clock.uptime_ms()
    state.due_ms = next_due(state.due_ms, now_ms, settings.every_ms)
    readings: list[tuple[int, int]] = []
    try:
        readings = await asyncio.wait_for(probe.measure_once(), _LONGEST_S)
    except (SensorError, OSError, asyncio.TimeoutError):  # noqa: UP041 - none of MicroPython's
        pass
    if not readings or not add_round(state, now_ms, readings, LOG_BYTES):
        state.failed += 1
    urgent = settings.urgent(readings)
    news = urgent and not state.has(ALARMED)
    state.mark(ALARMED, urgent)
    return news


def strike(state: "State", now_ms: int) -> None:
    """Count a round that failed in an unexpected way; the next one is not before a period."""
    state.strikes = min(state.strikes + 1, _MOST_STRIKES)
    state.due_ms = max(state.due_ms, now_ms + state.period_ms)


def is_full(state: "State", settings: "SleepSettings") -> bool:
    """Whether there are rounds enough, or one like the largest might find no room."""
    if 0 < settings.send_rounds <= state.rounds:
        return True
    return len(state.log) + most_bytes(state.channels) > LOG_BYTES


def early_ms(settings: "SleepSettings") -> int:
    """Return by how much a wake may be early and count for what is due."""
    return min(_EARLY_MS, settings.every_ms // _EIGHTHS)


def next_due(due_ms: int, now_ms: int, every_ms: int) -> int:
    """Return the first moment of the grid after now; what was missed is not made up for."""
    return due_ms + (max(0, now_ms - due_ms) // every_ms + 1) * every_ms


def sleep(board: "Board", retained: "Retained", state: "State", clock: "Clock") -> None:
    """Keep the state and sleep until something is due; a chip starts anew after that."""
    wake_ms = state.send_ms if state.has(QUIET) else min(state.due_ms, state.send_ms)
    now_ms = clock.uptime_ms()
    state.rtc_ms = board.rtc_ms()
    state.uptime_ms = now_ms
    keep_time(state, clock, now_ms)
    state.asked_ms = timer_ms(state, min(_LONGEST_MS, wake_ms - now_ms))
    retained.save(state)
    board.sleep(state.asked_ms)
