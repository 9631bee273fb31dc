"""What a node measures with once, before it sleeps again; only its own code is loaded."""

import json

from lilong_firmware.errors import SettingsError
from lilong_firmware.fields import Fields
from lilong_firmware.files import read_file
from lilong_protocol.portable import TYPE_CHECKING, const

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from lilong_firmware.clock import Clock
    from lilong_firmware.sensors import Sensor

    class Probe(Protocol):
        """Everything that the node measures with."""

        async def measure_once(self) -> "list[tuple[int, int]]":
            """Return (channel, value) of all there is; SensorError or OSError for nothing."""

    OpenProbe = Callable[[Fields, Clock, int, Callable[[str], None]], Probe]

_FILE_LIMIT = const(16384)
_SEED_MASK = const(0xFFFFFFFF)
_SLOWEST = 0.001
_FASTEST = 1e6


class Simulated:
    """A simulated sensor; it begins anew with each sleep, so the time is part of its seed."""

    def __init__(self, sensor: "Sensor", channels: "list[int]", clock: "Clock") -> None:
        self._sensor = sensor
        self._channels = channels
        self._clock = clock

    async def measure_once(self) -> "list[tuple[int, int]]":
        """Return its readings of the channels that the node has."""
        now_ms = self._clock.uptime_ms()
        readings = self._sensor.read(now_ms, self._clock.time_ms(now_ms))
        return [reading for reading in readings if reading[0] in self._channels]


def open_probe(
    fields: "Fields", clock: "Clock", boot_id: int, log: "Callable[[str], None]"
) -> "Probe":
    """Return what the settings measure with. FirmwareError when there is no such thing."""
    sensor = fields.object("sensor")
    kind = sensor.text("kind", 32)
    if kind == "replay":
        raise SettingsError("sensor.kind", "a replay cannot sleep; remove sleep or the replay")
    if kind == "devices":
        return _open_devices(fields, clock, boot_id, log)
    from lilong_firmware.sensors.catalogue import build_sensor  # noqa: PLC0415 - see above

    seed = fields.number("seed", 0, _SEED_MASK, 1) + clock.uptime_ms() // 1000
    speed = sensor.real("speed", _SLOWEST, _FASTEST, 1.0)
    model = build_sensor(kind, seed & _SEED_MASK, speed, sensor.real("start_hour", 0.0, 24.0, 8.0))
    numbers = [Fields(channel).number("number", 0, 255) for channel in fields.list("channels")]
    return Simulated(model, numbers, clock)


def read_fields(path: str) -> Fields:
    """Return the settings without a look at what is not asked for; SettingsError for none."""
    data = read_file(path, _FILE_LIMIT)
    try:
        return Fields(json.loads((data or b"").decode()))
    except ValueError:
        raise SettingsError(path, "is not JSON; write it again")


def _open_devices(
    fields: "Fields", clock: "Clock", boot_id: int, log: "Callable[[str], None]"
) -> "Probe":
    from lilong_firmware.devices.instruments import Instruments  # noqa: PLC0415 - see open_probe
    from lilong_firmware.settings import Sampling  # noqa: PLC0415

    sampling = Sampling(fields)
    if sampling.setup is None:
        raise SettingsError("devices", "must hold 1 to 16 devices")
    return Instruments(sampling.setup, sampling.measured, clock, boot_id, log)
