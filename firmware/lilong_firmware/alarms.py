"""What rules decide, told at once: one batch for each reading, before everything that waits."""

from lilong_firmware.record import NOWHERE
from lilong_firmware.row import by_unit
from lilong_protocol.blocks import encode_single
from lilong_protocol.errors import RangeError
from lilong_protocol.portable import TYPE_CHECKING, const

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lilong_firmware.clock import Clock
    from lilong_firmware.collection import Shelf
    from lilong_firmware.sampler import Timing

_AT_ONCE = const(6)
_REFILL_MS = const(30000)


class Allowance:
    """Six at once, then two a minute: a contact that chatters must not fill the journal."""

    def __init__(self) -> None:
        self._left = _AT_ONCE
        self._counted_ms = 0

    def spend(self, uptime_ms: int) -> bool:
        """Whether one more is allowed now; it is spent then."""
        more = (uptime_ms - self._counted_ms) // _REFILL_MS
        if more > 0:
            self._left = min(_AT_ONCE, self._left + more)
            self._counted_ms += more * _REFILL_MS
        if self._left == 0:
            return False
        self._left -= 1
        return True


class Alarms:
    """Puts single readings on a shelf, which is that of the alarm stream."""

    def __init__(
        self, shelf: "Shelf", channels: "Sequence[Timing]", clock: "Clock", boot_id: int
    ) -> None:
        self._shelf = shelf
        self._clock = clock
        self._boot_id = boot_id
        self._time_exponents = {channel.number: channel.time_exponent for channel in channels}
        self.unencodable = 0
        """Readings that no batch can hold."""

    def tell(self, channel: int, value: int, uptime_ms: int) -> None:
        """Put a reading of this moment there."""
        time_ms = self._clock.time_ms(uptime_ms)
        reading = [(channel, value)]
        rows = by_unit(reading, self._time_exponents, uptime_ms, time_ms, self._boot_id)
        try:
            item = encode_single(channel, rows[0].time, value, rows[0].boot)
        except RangeError:
            self.unencodable += 1
            return
        self._shelf.put(item, (channel,), 1, NOWHERE)


class Bulletin:
    """The state of one rule or output: told when it changes, and not too often."""

    def __init__(self, channel: int, alarms: Alarms) -> None:
        self._channel = channel
        self._alarms = alarms
        self._allowance = Allowance()
        self.told = 0
        """The state that was told last; that of the start needs no telling."""

    def tell(self, state: int, at_ms: int, uptime_ms: int) -> bool:
        """Tell the state since `at_ms` unless it is known or too much was told; whether it was."""
        if state == self.told or not self._allowance.spend(uptime_ms):
            return False
        self.told = state
        self._alarms.tell(self._channel, state, at_ms)
        return True
