"""The simulated sensors by the name that settings give them."""

from lilong_firmware.errors import SettingsError
from lilong_firmware.sensors.chance import Chance
from lilong_firmware.sensors.daytime import Daytime
from lilong_protocol.portable import TYPE_CHECKING

if TYPE_CHECKING:
    from lilong_firmware.sensors import Sensor

KINDS = ("bicycle", "crowd", "elevator", "river", "vitals")


def build_sensor(kind: str, seed: int, speed: float = 1.0, start_hour: float = 8.0) -> "Sensor":
    """Return a simulated sensor; SettingsError when there is none of that kind."""
    # Only the model that runs is loaded: the code of the others takes no room.
    chance = Chance(seed)
    daytime = Daytime(speed, start_hour)
    if kind == "bicycle":
        from lilong_firmware.sensors.bicycle import Bicycle  # noqa: PLC0415 - see above

        return Bicycle(chance, daytime)
    if kind == "crowd":
        from lilong_firmware.sensors.crowd import Crowd  # noqa: PLC0415 - see above

        return Crowd(chance, daytime)
    if kind == "elevator":
        from lilong_firmware.sensors.elevator import Elevator  # noqa: PLC0415 - see above

        return Elevator(chance, daytime)
    if kind == "river":
        from lilong_firmware.sensors.river import River  # noqa: PLC0415 - see above

        return River(chance, daytime)
    if kind == "vitals":
        from lilong_firmware.sensors.vitals import Vitals  # noqa: PLC0415 - see above

        return Vitals(chance, daytime)
    raise SettingsError("sensor.kind", repr(kind) + " is not one of " + ", ".join(KINDS))
