"""Rules at work on the node: from a reading to an output, gateway or no gateway."""

import asyncio

from lilong_firmware.alarms import Bulletin
from lilong_firmware.watch import Watch
from lilong_protocol.portable import TYPE_CHECKING, const

if TYPE_CHECKING:
    from collections.abc import Callable

    from lilong_firmware.alarms import Alarms
    from lilong_firmware.clock import Clock
    from lilong_firmware.output import Output
    from lilong_firmware.rule_settings import RuleSettings
    from lilong_firmware.supervision import Duty

_LONGEST_MS = const(200)


class LocalRules:
    """Switches outputs within `take`, and tells what changed after that.

    What is not told because there was too much to tell is told when there is room for it again,
    if it still holds then. A sensor too: of the states of all rules and outputs.
    """

    def __init__(
        self,
        settings: "RuleSettings",
        outputs: "list[Output]",
        alarms: "Alarms",
        clock: "Clock",
        log: "Callable[[str], None]",
    ) -> None:
        self._clock = clock
        self._outputs = outputs
        self._channels = [setting.state.number for setting in settings.outputs]
        self._bulletins = [Bulletin(channel, alarms) for channel in self._channels]
        self._watches: list[Watch] = []
        self._by_channel: dict[int, list[Watch]] = {}
        for index, rule in enumerate(settings.rules):
            own = [output for output in outputs if output.name in rule.outputs]
            watch = Watch(rule, 1 << index, own, alarms, log)
            watch.lapse(clock.uptime_ms())
            self._watches.append(watch)
            self._by_channel.setdefault(rule.channel, []).append(watch)
        self._stopped = False

    @property
    def withheld(self) -> int:
        """Changes of rules that were too many to be told."""
        return sum([watch.withheld for watch in self._watches])

    def take(self, channel: int, value: "int | None", uptime_ms: int) -> None:
        """Take a reading as soon as there is one, None where one is missing."""
        watches = self._by_channel.get(channel)
        if watches is None or self._stopped:
            return
        for watch in watches:
            watch.take(value, uptime_ms)
        self._tell(watches, uptime_ms)

    def lapse(self, uptime_ms: int) -> None:
        """Let time pass until this moment."""
        for watch in self._watches:
            watch.lapse(uptime_ms)
        for output in self._outputs:
            output.lapse(uptime_ms)
        self._tell(self._watches, uptime_ms)

    def wait_ms(self, uptime_ms: int) -> int:
        """Return the milliseconds until time alone may change something, 200 at most."""
        waits = [watch.rule.wait_ms(uptime_ms) for watch in self._watches]
        waits += [output.wait_ms(uptime_ms) for output in self._outputs]
        return min([_LONGEST_MS] + [max(1, wait_ms) for wait_ms in waits if wait_ms is not None])

    def read(self, _uptime_ms: int, _time_ms: "int | None") -> "list[tuple[int, int]]":
        """Return what all are in; a rule that knows nothing yet has a gap."""
        states = [(watch.channel, int(watch.raised)) for watch in self._watches if watch.known]
        return states + [
            (channel, output.state) for channel, output in zip(self._channels, self._outputs)
        ]

    async def run(self, duty: "Duty") -> None:
        """Let time pass until `stop`."""
        while not self._stopped:
            duty.beat()
            now_ms = self._clock.uptime_ms()
            self.lapse(now_ms)
            await asyncio.sleep(self.wait_ms(now_ms) / 1000)

    def stop(self) -> None:
        """Switch all outputs off, for good."""
        self._stopped = True
        for output in self._outputs:
            output.off()

    def _tell(self, watches: "list[Watch]", uptime_ms: int) -> None:
        """Tell when everything is switched: flash takes its time."""
        for watch in watches:
            watch.tell(uptime_ms)
        for output, bulletin in zip(self._outputs, self._bulletins):
            bulletin.tell(output.state, uptime_ms, uptime_ms)
