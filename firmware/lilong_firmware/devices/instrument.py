"""Runs one driver: when it measures, and whether what it says can be believed."""

import asyncio

from lilong_firmware.devices.feed import feeds, next_slot
from lilong_firmware.errors import (
    AbsentError,
    DamagedError,
    NonsenseError,
    SensorError,
    WarmingError,
)
from lilong_protocol.portable import TYPE_CHECKING, const

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from lilong_firmware.devices.feed import Feed
    from lilong_firmware.devices.setup import DeviceSetting
    from lilong_firmware.drivers import Driver
    from lilong_firmware.settings import ChannelSetting

    Put = Callable[[list[tuple[int, int]]], None]

GOOD = 0
"""Value of a status channel; with any other than GOOD and STUCK there is no reading."""
ABSENT = 1
DAMAGED = 2
NONSENSE = 3
STUCK = 4
WARMING = 5
BROKEN = 6
"""The driver itself failed; see the console."""

MOST_NOTICED = 20
"""So often in a minute a driver that notices is listened to at once, then twice a second."""

_MINUTE_MS = const(60000)
_SLOW_S = 0.5
_WORDS = ("good", "absent", "damaged", "nonsense", "stuck", "warming up", "broken")
_PATIENCE_S = const(30)
_LONGEST_PAUSE_MS = const(60000)
_SLICE_S = 1.0


class Instrument:
    """One device. `put` gets its readings, `uptime_ms` is the node's clock.

    It measures when a channel is due or the driver has noticed something. A status that changes
    is told at once. Where nobody answers it asks less and less often, at least once a minute or
    in its own interval, so that others on the bus are not kept from theirs.
    """

    def __init__(
        self,
        setting: "DeviceSetting",
        driver: "Driver | None",
        lock: "asyncio.Lock | None",
        channels: "list[ChannelSetting]",
        put: "Put",
        uptime_ms: "Callable[[], int]",
        log: "Callable[[str], None]",
    ) -> None:
        self._name = setting.name
        self._driver = driver
        self._lock = lock
        self._put = put
        self._uptime_ms = uptime_ms
        self._log = log
        self._gives = setting.driver.GIVES
        self._feeds, self._status_feeds = feeds(setting, channels)
        stuck_s = setting.stuck_s
        self._stuck_ms = 1000 * (getattr(driver, "STUCK_S", 0) if stuck_s < 0 else stuck_s)
        self._changed = asyncio.Event()
        self._noticed = 0
        self._minute_ms = 0
        self._last: list[int | None] = []
        self._since_ms = 0
        self._failures = 0
        self.status = WARMING
        self.failed = 0
        """How often it gave nothing."""
        self.alive_ms = 0
        """When it was last seen at work."""

    async def run(self) -> None:
        """Measure, for ever."""
        watch = getattr(self._driver, "watch", None)
        watching = None if watch is None else asyncio.create_task(self._watch(watch))
        try:
            while True:
                noticed = self._changed.is_set()
                self._changed.clear()
                await self._step(noticed)
                await self._calm(noticed)
                await self._wait(self._uptime_ms() + self._pause_ms())
        finally:
            if watching is not None:
                watching.cancel()

    async def _calm(self, noticed: bool) -> None:  # noqa: FBT001 - see _step
        """Slow a driver down that notices more than anybody wants to know."""
        now_ms = self._uptime_ms()
        if now_ms - self._minute_ms >= _MINUTE_MS:
            self._minute_ms, self._noticed = now_ms, 0
        self._noticed += noticed
        if self._noticed > MOST_NOTICED:
            await asyncio.sleep(_SLOW_S)

    async def measure_once(self) -> "list[tuple[int, int]]":
        """Measure and return every reading, the status with it."""
        values = await self._values()
        return self._readings(values, self._feeds) + [
            (feed.number, self.status) for feed in self._status_feeds
        ]

    async def _step(self, noticed: bool) -> None:  # noqa: FBT001 - everything is due then
        before = self.status
        values = await self._values()
        now_ms = self._uptime_ms()
        due = [feed for feed in self._feeds if noticed or feed.due_ms <= now_ms]
        told = [
            feed for feed in self._status_feeds if self.status != before or feed.due_ms <= now_ms
        ]
        readings = self._readings(values, due)
        readings.extend([(feed.number, self.status) for feed in told])
        for feed in due + told:
            feed.due_ms = next_slot(feed.due_ms, feed.interval_ms, now_ms)
        if self.status != before:
            self._log(self._name + " is " + _WORDS[self.status])
        if readings:
            self._put(readings)

    def _readings(
        self, values: "list[int | None]", wanted: "list[Feed]"
    ) -> "list[tuple[int, int]]":
        readings = []
        for feed in wanted:
            value = values[feed.index] if feed.index < len(values) else None
            if value is not None:
                readings.append((feed.number, feed.scaled(value)))
        return readings

    async def _values(self) -> "list[int | None]":
        """Return what can be believed; the status says why there is nothing."""
        try:
            values = await self._ask()
        except asyncio.TimeoutError:  # noqa: UP041 - its own on MicroPython
            return self._nothing(ABSENT, "no answer in 30 s")
        except OSError as error:
            return self._nothing(ABSENT, str(error))
        except SensorError as error:
            return self._nothing(_status(error), str(error))
        except Exception as error:  # noqa: BLE001 - the other devices must go on
            return self._nothing(BROKEN, repr(error))
        self._failures = 0
        return self._judged(values)

    async def _ask(self) -> "list[int | None]":
        driver = self._driver
        if driver is None:
            raise AbsentError(self._name, "has no bus")
        if self._lock is None:
            return await asyncio.wait_for(driver.measure(), _PATIENCE_S)
        async with self._lock:
            return await asyncio.wait_for(driver.measure(), _PATIENCE_S)

    def _nothing(self, status: int, problem: str) -> "list[int | None]":
        self.failed += 1
        self._failures += 1
        if status != self.status:
            self._log(self._name + ": " + problem)
        self.status = status
        self._last = []
        return []

    def _judged(self, values: "list[int | None]") -> "list[int | None]":
        """Set the status by the values; those that cannot be are left out."""
        now_ms = self._uptime_ms()
        if values != self._last:
            self._last = list(values)
            self._since_ms = now_ms
        self.status = GOOD
        if self._stuck_ms and now_ms - self._since_ms >= self._stuck_ms:
            self.status = STUCK
        believed = list(values)
        for index, value in enumerate(values):
            given = self._gives[index]
            if value is not None and not given.lowest <= value <= given.highest:
                self.status = NONSENSE
                self.failed += 1
                believed[index] = None
        return believed

    def _pause_ms(self) -> int:
        now_ms = self._uptime_ms()
        everything = self._feeds + self._status_feeds
        due_ms = min([feed.due_ms for feed in everything])
        if self._failures < 2:
            return max(0, due_ms - now_ms)
        shortest_ms = min([feed.interval_ms for feed in everything])
        pause_ms = min(_LONGEST_PAUSE_MS, shortest_ms << min(self._failures, 16))
        return max(shortest_ms, pause_ms)

    async def _wait(self, until_ms: int) -> None:
        """Return at that uptime or when the driver noticed something."""
        while not self._changed.is_set():
            now_ms = self._uptime_ms()
            self.alive_ms = now_ms
            if now_ms >= until_ms:
                return
            try:
                left_s = (until_ms - now_ms) / 1000
                await asyncio.wait_for(self._changed.wait(), min(_SLICE_S, left_s))
            except asyncio.TimeoutError:  # noqa: UP041 - the same
                continue

    async def _watch(self, watch: "Any") -> None:
        """Let the driver notice things; one that fails is asked again after a while."""
        while True:
            try:
                await watch(self._changed.set)
            except (OSError, SensorError):
                self.failed += 1
            except Exception as error:  # noqa: BLE001 - the other devices must go on
                self.failed += 1
                self._log(self._name + ": " + repr(error))
            await asyncio.sleep(_SLICE_S)


def _status(error: SensorError) -> int:
    kinds = (
        (AbsentError, ABSENT),
        (DamagedError, DAMAGED),
        (NonsenseError, NONSENSE),
        (WarmingError, WARMING),
    )
    for kind, status in kinds:
        if isinstance(error, kind):
            return status
    return BROKEN
