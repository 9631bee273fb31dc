"""What checks of several drivers share: errors, refused options, clocks and watches."""

import asyncio
import time

from lilong_firmware.errors import SensorError, SettingsError

PERIOD_MS = 1 << 30
"""Ticks wrap so on a device."""


class Clock:
    """Seconds since it was made, and as many more as it is ahead."""

    def __init__(self):
        self.ahead_s = 0
        self._begin_ns = time.time_ns()

    def __call__(self):
        return (time.time_ns() - self._begin_ns) / 1000000000 + self.ahead_s


class Ticks:
    """Milliseconds that wrap as a device's do, from `begin_ms` on: for pins with a clock."""

    def __init__(self, begin_ms=0):
        self._begin_ms = begin_ms

    def wrapped(self, passed_ms):
        return (self._begin_ms + passed_ms) % PERIOD_MS

    def passed_ms(self, later, earlier):
        return (later - earlier + PERIOD_MS // 2) % PERIOD_MS - PERIOD_MS // 2


def hexed(text):
    return bytes([int(part, 16) for part in text.split()])


async def error_of(kinds, asked):
    """Return the error of these kinds that comes of what is asked; a value instead fails."""
    try:
        values = await asked
    except kinds as error:
        return error
    raise AssertionError(values)


async def raised(kind, asked):
    """Return the text of the error of this kind that comes of what is asked."""
    return str(await error_of(kind, asked))


async def failure_of(driver):
    """Return the error that a measurement ends with; values instead fail."""
    return await error_of((OSError, SensorError), driver.measure())


async def failed_kind(driver):
    """Return which SensorError a measurement ends with, None where it gives values."""
    try:
        await driver.measure()
    except SensorError as error:
        return type(error)
    return None


def refusal(make, **options):
    """Return the error of a driver that is to be made with these options, None where it is."""
    try:
        make(None, **options)
    except SettingsError as error:
        return error
    return None


def refused_key(make, **options):
    """Return which key of these options is refused, None where none is."""
    error = refusal(make, **options)
    return None if error is None else error.key


async def different(driver, count):
    """Return how many different values so many measurements give."""
    found = set()
    for _ in range(count):
        found.add(tuple(await driver.measure()))
    return len(found)


async def measured_of(driver, count, length):
    """Return how many of so many measurements give values, of this length.

    The others may fail as a bus or as a sensor does, and in no other way.
    """
    measured = 0
    for _ in range(count):
        try:
            values = await driver.measure()
        except (OSError, SensorError):
            continue
        assert len(values) == length, values
        measured += 1
    return measured


async def recovered_places(i2c, make, first):
    """Return after how many transactions the bus could fail until a measurement had them all.

    Whenever it failed, the same driver must measure this first value as soon as it works again.
    """
    places = 0
    while True:
        i2c.left = places
        driver = make()
        try:
            await driver.measure()
        except OSError:
            places += 1
        else:
            return places
        i2c.left = -1
        assert (await driver.measure())[0] == first


async def ended(task):
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        pass


async def changes_until(driver, now, end):
    """Watch until the end; return when the driver said that something changed."""
    changes = []
    task = asyncio.create_task(driver.watch(lambda: changes.append(now())))
    while now() < end:
        await asyncio.sleep(0.001)
    await ended(task)
    return changes
