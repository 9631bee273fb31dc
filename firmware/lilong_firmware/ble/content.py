"""What a node has to say in its advertisement."""

from lilong_protocol.advert import Told
from lilong_protocol.cbor import decode_sequence
from lilong_protocol.errors import DecodeError
from lilong_protocol.frame import ALARM_STREAM
from lilong_protocol.portable import TYPE_CHECKING, const

if TYPE_CHECKING:
    from collections.abc import Callable

    from lilong_firmware.journal import Journal

_SINGLE = const(0)
_TABLE = const(2)
# A rule tells its state, then the reading that decided.
_LOOK_BACK = const(4)
_NOBODY = const(-1)
_SUPPLY_EVERY_MS = const(60000)
_SUPPLY_STEP_MV = const(40)


class Content:
    """Of one boot. `states` are the channels that tell what rules and outputs are in."""

    def __init__(
        self,
        journal: "Journal",
        supply_mv: "Callable[[], int | None]",
        device_class: int,
        states: "tuple[int, ...]",
    ) -> None:
        self._journal = journal
        self._measure_mv = supply_mv
        self._device_class = device_class
        self._states = states
        self._since_ms: int | None = None
        self._supply_mv: int | None = None
        self._supply_due_ms = 0
        self._alarm_first = self._alarm_next = _NOBODY
        self._alarm_since_ms = 0
        self._newest = (0, 0, False)

    def blank(self) -> Told:
        """Return the same at any time: that there is such a node."""
        return self._tell(False, (0, 0, False), 0, 0, None)  # noqa: FBT003 - no alarm

    def told(self, now_ms: int) -> Told:
        """Return what there is to say now."""
        alarm = self.look(now_ms) is not None
        age_s = 0 if self._since_ms is None else (now_ms - self._since_ms) // 1000
        held, supply_mv = self._journal.held, self._supply(now_ms)
        return self._tell(alarm, self._newest_alarm(), held, age_s, supply_mv)

    def look(self, now_ms: int) -> "int | None":
        """Take note of what waits, often: ages count from there.

        Return how long the oldest waiting alarm is the oldest one; None when none waits.
        """
        if self._journal.held == 0:
            self._since_ms = None
        elif self._since_ms is None:
            self._since_ms = now_ms
        first = self._journal.first(ALARM_STREAM)
        if first == self._journal.next(ALARM_STREAM):
            self._alarm_first = _NOBODY
            return None
        if first != self._alarm_first:
            self._alarm_first = first
            self._alarm_since_ms = now_ms
        return now_ms - self._alarm_since_ms

    @property
    def alarms(self) -> int:
        """The number that the next alarm will get: another one means news."""
        return self._journal.next(ALARM_STREAM)

    def _tell(
        self,
        alarm: bool,  # noqa: FBT001 - all are given by their places
        newest: "tuple[int, int, bool]",
        waiting: int,
        age_s: int,
        supply_mv: "int | None",
    ) -> Told:
        channel, seq, raised = newest
        return Told(
            alarm=alarm,
            raised=raised,
            device_class=self._device_class,
            waiting=waiting,
            age_s=age_s,
            supply_mv=supply_mv,
            channel=channel,
            seq=seq,
        )

    def _newest_alarm(self) -> "tuple[int, int, bool]":
        """Return channel, number and whether it is raised: of a state, where there is one.

        What is in the alarm stream and tells no state is raised.
        """
        if self._alarm_next == self.alarms:
            return self._newest
        self._alarm_next = end = self.alarms
        first = max(self._journal.first(ALARM_STREAM), end - _LOOK_BACK)
        found = None
        for seq in range(end - 1, first - 1, -1):
            read = _channel_and_value(self._journal.read(ALARM_STREAM, seq))
            if read is None:
                continue
            channel, value = read
            if channel in self._states:
                found = (channel, seq, value != 0)
                break
            found = found or (channel, seq, True)
        self._newest = found or (0, max(0, end - 1), True)
        return self._newest

    def _supply(self, now_ms: int) -> "int | None":
        """Return the supply, now and then, and without its noise: each change takes a number."""
        if now_ms >= self._supply_due_ms:
            self._supply_due_ms = now_ms + _SUPPLY_EVERY_MS
            found, known = self._measure_mv(), self._supply_mv
            if found is None or known is None or abs(found - known) >= _SUPPLY_STEP_MV:
                self._supply_mv = found
        return self._supply_mv


def _channel_and_value(item: "bytes | None") -> "tuple[int, int] | None":
    """Return channel and value of a single reading; of more of them a channel, and 1."""
    try:
        fields = decode_sequence(item or b"")
    except DecodeError:
        return None
    kind = fields[0] if fields else None
    at = 4 if kind == _TABLE else 1
    channel = fields[at] if at < len(fields) else None
    value = fields[-1] if kind == _SINGLE else 1
    if isinstance(channel, int) and isinstance(value, int):
        return channel, value
    return None
