"""The beat of the event loop: what is so is looked at, judged, and told."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace

from lilong_gateway.health.notify import Notifier
from lilong_gateway.health.pulse import Pulses
from lilong_gateway.health.snapshot import Snapshot
from lilong_gateway.health.verdict import DEAD, HEALTHY, Limits, Verdict, judge
from lilong_gateway.logs import pairs

_BEAT_S = 1.0
_BEATS = 4
"""Within the watchdog's time."""
_STATUS_BEATS = 10
_LOG = logging.getLogger(__name__)


class Heart:
    """run() for ever, in one task; it waits for nothing but time.

    sample looks at everything. latest is for other threads: they judge it by its age.
    """

    def __init__(
        self,
        sample: Callable[[int], Snapshot],
        pulses: Pulses,
        notifier: Notifier,
        now_ms: Callable[[], int],
        limits: Limits,
    ) -> None:
        self.limits = limits
        self.blind = 0
        """Looks that failed, by a mistake of ours."""
        self._sample = sample
        self._pulses = pulses
        self._notifier = notifier
        self._now_ms = now_ms
        self._told = ""
        self._beats = 0
        self._state = HEALTHY
        self.latest = sample(now_ms())
        self.verdict = judge(self.latest, now_ms(), limits)

    async def run(self) -> None:
        """Beat for ever."""
        watchdog_s = self._notifier.watchdog_s
        pause_s = _BEAT_S if watchdog_s is None else min(_BEAT_S, watchdog_s / _BEATS)
        while True:
            self.beat()
            await asyncio.sleep(pause_s)

    def beat(self) -> None:
        """Look, judge, tell."""
        now_ms = self._now_ms()
        self.latest = self._look(now_ms)
        verdict = self.verdict = judge(self.latest, now_ms, self.limits)
        if verdict.state != DEAD:
            self._notifier.beat()
        self._tell(verdict)

    def _look(self, now_ms: int) -> Snapshot:
        try:
            return self._sample(now_ms)
        except Exception as error:  # noqa: BLE001 - no mistake in the report may end the duties
            self.blind += 1
            if self.blind == 1:
                _LOG.exception("health not seen %s", pairs(error=repr(error)))
            return replace(self.latest, taken_ms=now_ms, beats=self._pulses.beats(now_ms))

    def _tell(self, verdict: Verdict) -> None:
        self._beats += 1
        changed = verdict.state != self._state
        if changed:
            self._state = verdict.state
            level = logging.ERROR if verdict.state == DEAD else logging.INFO
            reasons = "; ".join(reason.what for reason in verdict.reasons)
            _LOG.log(level, "health %s", pairs(state=verdict.state, reasons=reasons))
        due = changed or not self._told or self._beats >= _STATUS_BEATS
        if due and verdict.text != self._told:
            self._beats = 0
            self._told = verdict.text
            self._notifier.status(verdict.text)
