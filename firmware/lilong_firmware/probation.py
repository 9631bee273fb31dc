"""The duty that decides whether this boot, its update and its configuration are good."""

import asyncio

from lilong_firmware.crash import CONFIGURED, PLANNED
from lilong_protocol.portable import TYPE_CHECKING, const

if TYPE_CHECKING:
    from collections.abc import Callable

    from lilong_firmware.clock import Clock
    from lilong_firmware.configuration import Configuration
    from lilong_firmware.restart import Restart
    from lilong_firmware.supervision import Duty
    from loader import Boot

_LOOK_S = const(0.5)
_AGAIN_MS = const(10000)


class Patience:
    """How long the node waits before it decides about a boot, in milliseconds."""

    def __init__(self, good: int, trial: int, configuration: int, recovery: int) -> None:
        self.good_ms = good
        """A boot that lasted so long was no early end."""
        self.trial_ms = trial
        """Without a gateway for so long a try of an update ends."""
        self.configuration_ms = configuration
        """Without a gateway for so long a new configuration gives way to the one before."""
        self.recovery_ms = recovery
        """Recovery ends after so long."""


class Probation:
    """A gateway that has opened a session has heard this version with this configuration."""

    def __init__(
        self,
        boot: "Boot",
        configuration: "Configuration",
        patience: Patience,
        clock: "Clock",
        restart: "Restart",
        log: "Callable[[str], None]",
    ) -> None:
        self._boot = boot
        self._configuration = configuration
        self._patience = patience
        self._clock = clock
        self._restart = restart
        self._log = log
        self._heard = False
        self._again_ms = 0
        self._good = False

    def opened(self) -> None:
        """Keep what is on trial, durably, before anything else depends on it."""
        self._heard = True
        self._keep()

    async def run(self, duty: "Duty") -> None:
        """Look after what is on trial, for ever."""
        while True:
            duty.beat()
            if not self._restart.under_way:
                self._look(self._clock.uptime_ms())
            await asyncio.sleep(_LOOK_S)

    def _look(self, now_ms: int) -> None:
        if not self._heard:
            self._give_up(now_ms)
        elif now_ms >= self._again_ms:
            self._keep()
        if self._boot.recovery:
            if now_ms > self._patience.recovery_ms:
                self._log("recovery ends: the usual way again")
                self._restart.now(PLANNED)
        elif not self._good and now_ms > self._patience.good_ms:
            self._good = self._boot.settle()

    def _give_up(self, now_ms: int) -> None:
        """End what no gateway has heard for too long."""
        if self._boot.trial and now_ms > self._patience.trial_ms:
            self._log("no gateway has heard sequence " + str(self._boot.sequence))
            self._restart.now(PLANNED)
        too_long = now_ms > self._patience.configuration_ms
        if self._configuration.trying and too_long and self._configuration.revert():
            self._restart.now(CONFIGURED)

    def _keep(self) -> None:
        self._again_ms = self._clock.uptime_ms() + _AGAIN_MS
        boot = self._boot
        if boot.trial:
            sequence = "sequence " + str(boot.sequence)
            kept = boot.confirm()
            self._log(sequence + (" is confirmed" if kept else " could not be confirmed yet"))
        if self._configuration.trying and self._configuration.keep():
            self._log("the configuration is confirmed")
