"""Uptime and time that go on over deep sleep.

In sleep only the clock of the RTC runs, on an RC oscillator that may be percents off. What it was
off by shows when a gateway tells the time after a sleep; from then on it is corrected by that.
"""

from lilong_firmware.clock import Clock
from lilong_firmware.discipline import Discipline
from lilong_firmware.sleep.state import KNOWN, RATED
from lilong_protocol.portable import TYPE_CHECKING, const

if TYPE_CHECKING:
    from lilong_firmware.sleep.state import State

_LATE_MS = const(60000)
_PPM = const(1000000)
_MOST_PPM = const(300000)
_UNRATED_PPM = const(200000)
_RATED_PPM = const(50000)
_FIRST_SPREAD_PPM = const(10000)
_LEAST_SPREAD_PPM = const(500)
_MARGIN_MS = const(2000)
_BASELINE_MS = const(10000)
_BASELINES = const(50)
_HELD_BACK = const(16)


class SleepClock(Clock):
    """Goes on from where a sleep began. `awake` counts from now; `rtc_ms` is the RTC's clock now.

    The first exchange after a sleep sets the time, without a slew: an error that such a clock can
    have had says nothing against the gateway. The time does not go back for that: it goes on at a
    16th of its speed until it is right.
    """

    def __init__(self, state: "State", awake: Clock, rtc_ms: int) -> None:
        super().__init__(awake.uptime_ms, _difference)
        self._state = state
        slept_ms = rtc_ms - state.rtc_ms
        if not 0 <= slept_ms <= 2 * state.asked_ms + _LATE_MS:
            slept_ms = state.asked_ms
        slept_ms += slept_ms * state.rate_ppm // _PPM
        state.slept_ms += slept_ms
        self._uptime_ms = state.uptime_ms + slept_ms
        self._heard = False
        self._held_ms = self._uptime_ms
        self._floor_ms = state.told_ms + 1
        if state.has(KNOWN):
            error_ms = state.error_ms + (slept_ms * state.spread_ppm + _PPM - 1) // _PPM
            self._set(state.offset_ms, error_ms)

    def measured(self, offset_ms: int, uncertainty_ms: int, measured_ms: int) -> None:
        """Take what an exchange found; the first one after a sleep tells the rate of the RTC."""
        state = self._state
        if state.has(KNOWN) and not self._heard:
            error_ms = offset_ms - state.offset_ms
            ppm = _RATED_PPM if state.has(RATED) else _UNRATED_PPM
            if abs(error_ms) <= _MARGIN_MS + state.slept_ms * ppm // _PPM:
                now_ms = self.uptime_ms()
                self._floor_ms = self._time_ms(now_ms)
                self._held_ms = now_ms
                self._learn(offset_ms, uncertainty_ms)
                self._set(offset_ms, uncertainty_ms)
                self.discipline.residual_ms = error_ms
        self._heard = True
        super().measured(offset_ms, uncertainty_ms, measured_ms)

    def time_ms(self, uptime_ms: int) -> "int | None":
        """Return milliseconds since 2000 at `uptime_ms`, None while unknown."""
        return self._time_ms(uptime_ms) if self.discipline.time_ms(0) is not None else None

    def _time_ms(self, uptime_ms: int) -> int:
        time_ms = self.discipline.time_ms(uptime_ms) or 0
        if uptime_ms < self._held_ms:
            return time_ms
        return max(time_ms, self._floor_ms + (uptime_ms - self._held_ms) // _HELD_BACK)

    def _set(self, offset_ms: int, error_ms: int) -> None:
        self.discipline = Discipline()
        self.discipline.measured(offset_ms, error_ms, self._uptime_ms, self._uptime_ms)

    def _learn(self, offset_ms: int, uncertainty_ms: int) -> None:
        """Correct the rate, when enough was slept for the exchange to be the smaller error."""
        state = self._state
        if state.slept_ms < max(_BASELINE_MS, _BASELINES * uncertainty_ms):
            return
        found_ppm = (offset_ms - state.anchor_offset_ms) * _PPM // state.slept_ms
        if state.has(RATED):
            recent_ppm = max(2 * abs(found_ppm), state.spread_ppm * 3 // 4)
            state.spread_ppm = max(_LEAST_SPREAD_PPM, recent_ppm)
            found_ppm //= 2
        else:
            state.spread_ppm = _FIRST_SPREAD_PPM
            state.mark(RATED, True)  # noqa: FBT003 - the flag's value
        state.rate_ppm = min(_MOST_PPM, max(-_MOST_PPM, state.rate_ppm + found_ppm))
        state.anchor_offset_ms = offset_ms
        state.slept_ms = 0


def keep_time(state: "State", clock: Clock, now_ms: int) -> None:
    """Note what the discipline knows, before a sleep."""
    discipline = clock.discipline
    time_ms = discipline.time_ms(now_ms)
    if time_ms is None:
        return
    state.offset_ms = time_ms - now_ms
    state.error_ms = discipline.error_ms(now_ms) or 0
    doubt_ms = _MARGIN_MS + state.slept_ms * _UNRATED_PPM // _PPM
    if not state.has(KNOWN) or abs(state.offset_ms - state.anchor_offset_ms) > doubt_ms:
        # The time was set otherwise than by a few percent of a sleep: the rate counts from here.
        state.anchor_offset_ms = state.offset_ms
        state.slept_ms = 0
    state.mark(KNOWN, True)  # noqa: FBT003 - the flag's value


def timer_ms(state: "State", wait_ms: int) -> int:
    """Return what the RTC's clock must be asked for, so that it is `wait_ms` in truth."""
    return max(10, wait_ms * _PPM // (_PPM + state.rate_ppm))


def _difference(later: int, earlier: int) -> int:
    return later - earlier
