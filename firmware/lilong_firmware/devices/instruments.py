"""The devices of a node as one source of rows."""

import asyncio

from lilong_firmware.devices.buses import Buses
from lilong_firmware.devices.instrument import Instrument
from lilong_firmware.row import by_unit
from lilong_protocol.portable import TYPE_CHECKING, const

if TYPE_CHECKING:
    from collections.abc import Callable

    from lilong_firmware.clock import Clock
    from lilong_firmware.devices.setup import Setup
    from lilong_firmware.row import Row
    from lilong_firmware.settings import ChannelSetting
    from lilong_firmware.supervision import Duty

_MOST_WAITING = const(64)
_SOON_MS = const(50)
_LOOK_S = const(5)
_STALLED_MS = const(120000)


class Instruments:
    """Runs every device, each in a task of its own; a source of rows, as Sampler is.

    Rows wait here until the collection takes them, at most 64: the oldest go, and are counted.
    """

    ended = False
    patient = False
    mark = (0, 0, 0)

    def __init__(
        self,
        setup: "Setup",
        channels: "list[ChannelSetting]",
        clock: "Clock",
        boot_id: int,
        log: "Callable[[str], None]",
    ) -> None:
        self._clock = clock
        self._boot_id = boot_id
        self._time_exponents = {c.number: c.time_exponent for c in channels}
        self._waiting: list[Row] = []
        self._lost = 0
        buses = Buses(setup.buses, log)
        self._instruments = []
        for device in setup.devices:
            bus, lock = buses.bus(device)
            driver = None if bus is None else device.driver_class(bus, device.options)
            self._instruments.append(
                Instrument(device, driver, lock, channels, self._put, clock.uptime_ms, log)
            )
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def failed(self) -> int:
        """Readings that devices did not give, and rows that nobody took in time."""
        return self._lost + sum([instrument.failed for instrument in self._instruments])

    def rows(self, _uptime_ms: int) -> "list[Row]":
        """Return what was measured since the last time."""
        rows, self._waiting = self._waiting, []
        return rows

    def wait_ms(self, _uptime_ms: int) -> int:
        """Return the milliseconds after which to ask again."""
        return _SOON_MS

    async def run(self, duty: "Duty") -> None:
        """Run the devices; no beat when one of them does not come back."""
        self._tasks = [asyncio.create_task(each.run()) for each in self._instruments]
        while True:
            oldest_ms = min([each.alive_ms for each in self._instruments])
            if self._clock.uptime_ms() - oldest_ms < _STALLED_MS:
                duty.beat()
            await asyncio.sleep(_LOOK_S)

    async def measure_once(self) -> "list[tuple[int, int]]":
        """Measure with every device, one after the other, and return all readings."""
        readings = []
        for instrument in self._instruments:
            readings.extend(await instrument.measure_once())
        return readings

    def close(self) -> None:
        """Measure no more."""
        for task in self._tasks:
            task.cancel()
        self._tasks = []

    def _put(self, readings: "list[tuple[int, int]]") -> None:
        uptime_ms = self._clock.uptime_ms()
        time_ms = self._clock.time_ms(uptime_ms)
        rows = by_unit(readings, self._time_exponents, uptime_ms, time_ms, self._boot_id)
        self._waiting.extend(rows)
        surplus = len(self._waiting) - _MOST_WAITING
        if surplus > 0:
            self._lost += surplus
            self._waiting = self._waiting[surplus:]
