"""The simulated sensors by the name that settings give them."""

from lilong_firmware.errors import SettingsError
from lilong_firmware.sensors.bicycle import Bicycle
from lilong_firmware.sensors.chance import Chance
from lilong_firmware.sensors.crowd import Crowd
from lilong_firmware.sensors.daytime import Daytime
from lilong_firmware.sensors.elevator import Elevator
from lilong_firmware.sensors.river import River
from lilong_firmware.sensors.vitals import Vitals
from lilong_protocol.portable import TYPE_CHECKING

if TYPE_CHECKING:
    from lilong_firmware.sensors import Sensor

KINDS = ("bicycle", "crowd", "elevator", "river", "vitals")


def build_sensor(kind: str, seed: int, speed: float = 1.0, start_hour: float = 8.0) -> "Sensor":
    """Return a simulated sensor; SettingsError when there is none of that kind."""
    chance = Chance(seed)
    daytime = Daytime(speed, start_hour)
    if kind == "bicycle":
        return Bicycle(chance, daytime)
    if kind == "crowd":
        return Crowd(chance, daytime)
    if kind == "elevator":
        return Elevator(chance, daytime)
    if kind == "river":
        return River(chance, daytime)
    if kind == "vitals":
        return Vitals(chance, daytime)
    raise SettingsError("sensor.kind", repr(kind) + " is not one of " + ", ".join(KINDS))
