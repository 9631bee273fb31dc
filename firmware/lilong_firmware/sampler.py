"""Which channel is read when."""

from lilong_firmware.errors import SensorError
from lilong_firmware.row import by_unit
from lilong_protocol.portable import TYPE_CHECKING, const

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Protocol

    from lilong_firmware.clock import Clock
    from lilong_firmware.row import Row
    from lilong_firmware.sensors import Sensor

    class Timing(Protocol):
        """A ChannelSetting, or what else has a number and is read now and then."""

        number: int
        interval_ms: int
        time_exponent: int


_LONG_MS = const(60000)


class _Period:
    """Channels of the same interval; `due_ms` is the uptime of their next reading."""

    def __init__(self, interval_ms: int, due_ms: int) -> None:
        self.interval_ms = interval_ms
        self.due_ms = due_ms
        self.channels: list[int] = []

    def pass_by(self, uptime_ms: int) -> None:
        """Move to the first slot after `uptime_ms`; slots that were missed are not made up for."""
        missed = (uptime_ms - self.due_ms) // self.interval_ms
        self.due_ms += (missed + 1) * self.interval_ms


class Sampler:
    """Reads one sensor at the intervals of its channels, for the first time after `delay_ms`.

    A source of rows, as Replay is: rows, wait_ms, close, ended, patient, mark.
    """

    ended = False
    patient = False
    mark = (0, 0, 0)

    def __init__(
        self,
        sensor: "Sensor",
        channels: "Sequence[Timing]",
        clock: "Clock",
        boot_id: int,
        log: "Callable[[str], None]",
        delay_ms: int = 0,
    ) -> None:
        self._sensor = sensor
        self._clock = clock
        self._boot_id = boot_id
        self._log = log
        self._time_exponents = {c.number: c.time_exponent for c in channels}
        self._periods = _periods(channels, clock.uptime_ms() + delay_ms)
        self._failing = False
        self.counters = {"failed": 0, "unknown": 0}

    @property
    def failed(self) -> int:
        """How often the sensor gave nothing."""
        return self.counters["failed"]

    def rows(self, uptime_ms: int) -> "list[Row]":
        """Return what is due now, none when it is too early or the sensor fails."""
        due: list[int] = []
        for period in self._periods:
            if period.due_ms <= uptime_ms:
                due.extend(period.channels)
                period.pass_by(uptime_ms)
        if not due:
            return []
        time_ms = self._clock.time_ms(uptime_ms)
        return self._by_unit(self._read(uptime_ms, time_ms), due, uptime_ms, time_ms)

    def wait_ms(self, uptime_ms: int) -> int:
        """Return the milliseconds until a channel is due."""
        due_ms = [period.due_ms for period in self._periods]
        return max(0, min(due_ms) - uptime_ms) if due_ms else _LONG_MS

    def close(self) -> None:
        """Nothing is to be given back."""

    def _read(self, uptime_ms: int, time_ms: "int | None") -> "list[tuple[int, int]]":
        try:
            readings = self._sensor.read(uptime_ms, time_ms)
        except (SensorError, OSError) as error:
            self.counters["failed"] += 1
            if not self._failing:
                self._failing = True
                self._log("sensor: " + str(error))
            return []
        self._failing = False
        return readings

    def _by_unit(
        self,
        readings: "list[tuple[int, int]]",
        due: "list[int]",
        uptime_ms: int,
        time_ms: "int | None",
    ) -> "list[Row]":
        """Return a row for each unit of time among the channels that are due."""
        known = []
        for reading in readings:
            if reading[0] not in self._time_exponents:
                self.counters["unknown"] += 1
            elif reading[0] in due:
                known.append(reading)
        return by_unit(known, self._time_exponents, uptime_ms, time_ms, self._boot_id)


def _periods(channels: "Sequence[Timing]", uptime_ms: int) -> "list[_Period]":
    periods: dict[int, _Period] = {}
    for channel in channels:
        if channel.interval_ms not in periods:
            periods[channel.interval_ms] = _Period(channel.interval_ms, uptime_ms)
        periods[channel.interval_ms].channels.append(channel.number)
    return list(periods.values())
