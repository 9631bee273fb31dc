"""A pin that rules switch: a siren, a valve, a lamp."""

from lilong_protocol.portable import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Protocol

    from lilong_firmware.rule_settings import OutputSetting, RuleSettings

    class Pin(Protocol):
        """machine.Pin as an output; ValueError or OSError when it fails."""

        def value(self, level: int) -> "Any":
            """Set the level."""


OFF = 0
ON = 1
FAILED = 2
"""There is no such pin, or it refused its last level."""


class Output:
    """Off, unless a rule holds it; off after the longest time that it may be on.

    Whoever holds it then has had its time: it stays off until a rule holds it that did not, or
    that has cleared since. `holder` is one bit for each rule. A pin that fails is logged, and
    tried again with every lapse.
    """

    def __init__(
        self,
        setting: "OutputSetting",
        open_pin: "Callable[[int, int], Pin]",
        log: "Callable[[str], None]",
    ) -> None:
        self.name = setting.name
        self._setting = setting
        self._log = log
        self._holders = 0
        self._spent = 0
        """Those that have had their time."""
        self._on = False
        """What the pin is to be."""
        self._since_ms = 0
        self.state = OFF
        self._pin: Pin | None = None
        try:
            self._pin = open_pin(setting.pin, 1 - setting.on)
        except (ValueError, OSError) as error:
            self._fail(error)

    def hold(self, holder: int, uptime_ms: int) -> None:
        """Switch it on."""
        self._holders |= holder
        self._settle(uptime_ms)

    def let_go(self, holder: int, uptime_ms: int) -> None:
        """Switch it off, unless another one holds it."""
        self._holders &= ~holder
        self._spent &= ~holder
        self._settle(uptime_ms)

    def lapse(self, uptime_ms: int) -> None:
        """Switch it off when its time is over."""
        if self.wait_ms(uptime_ms) == 0:
            self._spent = self._holders
        self._settle(uptime_ms)
        if self.state == FAILED:
            self._write()

    def wait_ms(self, uptime_ms: int) -> "int | None":
        """Return the milliseconds until its time is over, None when it may stay as it is."""
        if not self._on or not self._setting.longest_ms:
            return None
        return max(0, self._since_ms + self._setting.longest_ms - uptime_ms)

    def off(self) -> None:
        """Switch it off whoever holds it."""
        self._holders = self._spent = 0
        self._settle(0)

    def _settle(self, uptime_ms: int) -> None:
        wanted = self._holders & ~self._spent != 0
        if wanted != self._on:
            self._on = wanted
            self._since_ms = uptime_ms
            self._write()

    def _write(self) -> None:
        if self._pin is None:
            return
        level = self._setting.on if self._on else 1 - self._setting.on
        try:
            self._pin.value(level)
        except (ValueError, OSError) as error:
            self._fail(error)
            return
        self.state = ON if self._on else OFF

    def _fail(self, error: Exception) -> None:
        if self.state != FAILED:
            self._log(self._setting.key + ".pin: " + str(error) + "; look at settings and wires")
        self.state = FAILED


def open_outputs(
    settings: "RuleSettings",
    open_pin: "Callable[[int, int], Pin]",
    log: "Callable[[str], None]",
) -> "list[Output]":
    """Open all outputs of the settings, off; `open_pin` gets pin and level."""
    return [Output(setting, open_pin, log) for setting in settings.outputs]
