import asyncio

import pytest

from lilong_firmware.devices import instrument as of
from lilong_firmware.devices.instrument import Instrument
from lilong_firmware.devices.quantity import Quantity
from lilong_firmware.errors import AbsentError, DamagedError, NonsenseError, WarmingError

T, RH, STATUS = 0, 1, 2


class Channel:
    def __init__(self, number, source, exponent, interval_ms):
        self.number = number
        self.source = source
        self.exponent = exponent
        self.interval_ms = interval_ms


class Driver:
    """Gives what a test tells it to, once each; the last for ever."""

    BUS = "i2c"
    GIVES = (Quantity("t", "Cel", -2, -4000, 12500), Quantity("rh", "%RH", -2, 0, 10000))

    def __init__(self, *answers):
        self._answers = list(answers)
        self.asked = 0

    async def measure(self):
        self.asked += 1
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        return list(answer)


class Setting:
    name = "box"
    stuck_s = -1

    def __init__(self, driver):
        self.driver = driver


class Bench:
    """An instrument on a clock that runs with the event loop's, a thousand times as fast."""

    def __init__(self, driver, interval_ms=1000, exponent=-2, **more):
        self.rows = []
        self.log = []
        self.setting = Setting(driver)
        for name, value in more.items():
            setattr(self.setting, name, value)
        channels = [
            Channel(T, "box.t", exponent, interval_ms),
            Channel(RH, "box.rh", -2, interval_ms),
            Channel(STATUS, "box.status", 0, 10 * interval_ms),
            Channel(9, "other.t", 0, interval_ms),
        ]
        self.now_ms = 0
        self.instrument = Instrument(
            self.setting,
            driver,
            None,
            channels,
            self.rows.append,
            self._uptime_ms,
            self.log.append,
        )

    def _uptime_ms(self):
        return self.now_ms

    async def steps(self, count, noticed=False):
        for _ in range(count):
            await self.instrument._step(noticed)
            self.now_ms += 1000
        return self.rows


async def test_what_is_measured_is_put_with_its_status_the_first_time_and_now_and_then():
    bench = Bench(Driver([2150, 4000]))
    rows = await bench.steps(12)
    assert rows[0] == [(T, 2150), (RH, 4000), (STATUS, of.GOOD)]
    assert rows[1] == [(T, 2150), (RH, 4000)]
    assert [row[-1] for row in rows].count((STATUS, of.GOOD)) == 2
    assert bench.instrument.failed == 0


@pytest.mark.parametrize(
    ("exponent", "given", "told"),
    [(-2, 2155, 2155), (-1, 2155, 216), (-1, -2155, -215), (-1, 2154, 215), (-3, -1, -10)],
)
async def test_a_coarser_channel_is_rounded_to_the_nearest_and_a_finer_one_is_exact(
    exponent, given, told
):
    bench = Bench(Driver([given, None]), exponent=exponent)
    assert (await bench.steps(1))[0] == [(T, told), (STATUS, of.GOOD)]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (OSError(19), of.ABSENT),
        (AbsentError("sht4x", "silent"), of.ABSENT),
        (DamagedError("sht4x", "check sum"), of.DAMAGED),
        (NonsenseError("sht4x", "invalid"), of.NONSENSE),
        (WarmingError("sht4x", "wait"), of.WARMING),
        (ZeroDivisionError("a fault of the driver"), of.BROKEN),
    ],
)
async def test_a_failing_sensor_is_a_status_that_is_told_once_and_never_a_crash(error, status):
    bench = Bench(Driver([2150, 4000], error, error, [2150, 4000]))
    rows = await bench.steps(4)
    assert rows[1:] == [[(STATUS, status)], [(T, 2150), (RH, 4000), (STATUS, of.GOOD)]]
    assert bench.instrument.failed == 2
    assert len(bench.log) == 4


async def test_a_value_that_cannot_be_is_left_out_and_flagged_and_the_other_one_stays():
    bench = Bench(Driver([2150, 4000], [12501, 4000], [-4001, 10001], [12500, 0]))
    rows = await bench.steps(4)
    assert rows[1] == [(RH, 4000), (STATUS, of.NONSENSE)]
    assert rows[2:] == [[(T, 12500), (RH, 0), (STATUS, of.GOOD)]]
    assert bench.instrument.failed == 3


async def test_the_very_same_values_for_too_long_are_stuck_and_are_sent_all_the_same():
    driver = Driver(*[[2150, 4000]] * 6, [2151, 4000])
    bench = Bench(driver, stuck_s=4)
    rows = await bench.steps(7)
    told = [row[-1][1] for row in rows if row[-1][0] == STATUS]
    assert told == [of.GOOD, of.STUCK, of.GOOD]
    assert all(row[0] == (T, 2150) for row in rows[:6])


async def test_a_driver_knows_itself_when_it_must_be_stuck():
    driver = Driver([2150, 4000])
    driver.STUCK_S = 2
    rows = await Bench(driver).steps(4)
    assert (STATUS, of.STUCK) in rows[2]


async def test_who_does_not_answer_is_asked_less_and_less_often_but_once_a_minute():
    bench = Bench(Driver(OSError(19)))
    pauses = []
    for _ in range(12):
        await bench.instrument._step(False)
        pauses.append(bench.instrument._pause_ms())
        bench.now_ms += pauses[-1]
    assert pauses[1] > 1000
    assert pauses == sorted(pauses)
    assert pauses[-1] == 60000


async def test_a_device_without_a_bus_is_absent_for_ever():
    bench = Bench(Driver([1, 1]))
    bench.instrument._driver = None
    assert await bench.steps(2) == [[(STATUS, of.ABSENT)]]


class Watcher(Driver):
    def __init__(self, *answers):
        super().__init__(*answers)
        self.events = asyncio.Event()
        self.failures = [OSError(5)]

    async def watch(self, changed):
        if self.failures:
            raise self.failures.pop()
        await self.events.wait()
        self.events.clear()
        changed()
        await asyncio.sleep(60)


async def test_a_driver_that_notices_without_end_is_slowed_down():
    class Restless(Driver):
        async def watch(self, changed):
            while True:
                changed()
                await asyncio.sleep(0)

    driver = Restless([1, 0])
    bench = Bench(driver, interval_ms=3_600_000)
    task = asyncio.create_task(bench.instrument.run())
    await asyncio.sleep(0.3)
    task.cancel()
    assert of.MOST_NOTICED <= driver.asked <= of.MOST_NOTICED + 2


async def test_what_a_driver_notices_is_measured_at_once_though_nothing_is_due():
    driver = Watcher([1, 0], [1, 0], [0, 0])
    bench = Bench(driver, interval_ms=3_600_000)
    task = asyncio.create_task(bench.instrument.run())
    async with asyncio.timeout(20):
        while driver.asked < 1 or driver.failures:
            await asyncio.sleep(0.01)
        driver.events.set()
        while driver.asked < 2:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0)
    assert bench.rows[1] == [(T, 1), (RH, 0)]
    task.cancel()
    assert bench.instrument.failed == 1
