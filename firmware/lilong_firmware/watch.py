"""One rule at work: what it hears, what it switches, and whom it tells."""

from lilong_firmware.alarms import Bulletin
from lilong_protocol.portable import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from lilong_firmware.alarms import Alarms
    from lilong_firmware.output import Output
    from lilong_firmware.rule_settings import RuleSetting


class Watch:
    """Switches its outputs when the rule turns; `tell` then says so.

    `holder` is the bit that stands for it among those that hold an output.
    """

    def __init__(
        self,
        setting: "RuleSetting",
        holder: int,
        outputs: "list[Output]",
        alarms: "Alarms",
        log: "Callable[[str], None]",
    ) -> None:
        self.rule = setting.rule
        self.channel = setting.state.number
        """The channel of its state."""
        self.raised = False
        self.withheld = 0
        """Changes that were too many to be told."""
        self._setting = setting
        self._holder = holder
        self._outputs = outputs
        self._alarms = alarms
        self._log = log
        self._bulletin = Bulletin(self.channel, alarms)
        self._heard = False
        self._changes: list[tuple[int, int, int | None, int | None]] = []

    @property
    def known(self) -> bool:
        """Whether the state means anything: something was heard, or decided without."""
        return self._heard or self.raised

    def take(self, value: "int | None", uptime_ms: int) -> None:
        """Take a reading, None where one is missing."""
        self.lapse(uptime_ms - 1)
        if value is not None:
            self._heard = True
        self.rule.take(value, uptime_ms)
        self._switch(uptime_ms)

    def lapse(self, uptime_ms: int) -> None:
        """Let time pass until this moment."""
        self.rule.lapse(uptime_ms)
        self._switch(uptime_ms)

    def tell(self, uptime_ms: int) -> None:
        """Tell what was not told yet."""
        if self._changes:
            changes, self._changes = self._changes, []
            for change in changes:
                if not self._announce(change, uptime_ms):
                    self.withheld += 1
        elif self._bulletin.told != self.raised:
            self._announce(self._change(uptime_ms), uptime_ms)

    def _switch(self, uptime_ms: int) -> None:
        if self.rule.raised == self.raised:
            return
        self.raised = self.rule.raised
        for output in self._outputs:
            if self.raised:
                output.hold(self._holder, uptime_ms)
            else:
                output.let_go(self._holder, uptime_ms)
        self._changes.append(self._change(uptime_ms))

    def _change(self, uptime_ms: int) -> "tuple[int, int, int | None, int | None]":
        rule = self.rule
        decided_ms = uptime_ms if rule.decided_ms is None else rule.decided_ms
        return int(rule.raised), decided_ms, rule.value, rule.value_ms

    def _announce(self, change: "tuple[int, int, int | None, int | None]", uptime_ms: int) -> bool:
        """Tell the state, then the reading that decided; False when it may not be told."""
        state, decided_ms, value, value_ms = change
        if not self._bulletin.tell(state, decided_ms, uptime_ms):
            return False
        if value is not None and value_ms is not None:
            self._alarms.tell(self._setting.channel, value, value_ms)
        words = " raised, last reading " if state else " cleared, last reading "
        self._log("rule " + self._setting.name + words + str(value))
        return True
