"""SenML units (RFC 8428 section 12.1, RFC 8798) -> Home Assistant's units and device classes.

developers.home-assistant.io/docs/core/entity/sensor: a device class admits certain units only, so
where SenML's is not among them, or means several quantities, there is none.
"""

from collections.abc import Mapping
from typing import NamedTuple


class Kind(NamedTuple):
    """A device class and a unit, "" where there is none."""

    device_class: str = ""
    unit: str = ""


_KINDS: Mapping[str, Kind] = {
    "m": Kind("distance", "m"),
    "mm": Kind("distance", "mm"),
    "cm": Kind("distance", "cm"),
    "km": Kind("distance", "km"),
    "kg": Kind("weight", "kg"),
    "g": Kind("weight", "g"),
    "s": Kind("duration", "s"),
    "ms": Kind("duration", "ms"),
    "min": Kind("duration", "min"),
    "h": Kind("duration", "h"),
    "A": Kind("current", "A"),
    "mA": Kind("current", "mA"),
    "K": Kind("temperature", "K"),
    "Cel": Kind("temperature", "°C"),
    "Hz": Kind("frequency", "Hz"),
    "kHz": Kind("frequency", "kHz"),
    "MHz": Kind("frequency", "MHz"),
    "Pa": Kind("pressure", "Pa"),
    "hPa": Kind("pressure", "hPa"),
    "W": Kind("power", "W"),
    "kW": Kind("power", "kW"),
    "VA": Kind("apparent_power", "VA"),
    "J": Kind("energy", "J"),
    "Wh": Kind("energy", "Wh"),
    "kWh": Kind("energy", "kWh"),
    "V": Kind("voltage", "V"),
    "mV": Kind("voltage", "mV"),
    "lx": Kind("illuminance", "lx"),
    "m/s": Kind("speed", "m/s"),
    "km/h": Kind("speed", "km/h"),
    "W/m2": Kind("irradiance", "W/m²"),
    "%RH": Kind("humidity", "%"),
    "%EL": Kind("battery", "%"),
    "pH": Kind("ph"),
    "dBm": Kind("signal_strength", "dBm"),
    "B": Kind("data_size", "B"),
    "bit/s": Kind("data_rate", "bit/s"),
    "m3": Kind("volume", "m³"),
    "l": Kind("volume", "L"),
    "m2": Kind(unit="m²"),
    "m/s2": Kind(unit="m/s²"),
    "m3/s": Kind(unit="m³/s"),
    "deg": Kind(unit="°"),
    "/": Kind(),
    "count": Kind(),
}


def kind(unit: str) -> Kind:
    """Return what Home Assistant calls it; a unit that it does not know stays as it is."""
    return _KINDS.get(unit, Kind(unit=unit))
