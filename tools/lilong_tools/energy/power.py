"""What the drivers of the firmware say of their sensors' current."""

import ast
import re
from pathlib import Path

from lilong_tools.energy.model import Sensor
from lilong_tools.errors import ToolError
from lilong_tools.vnode.folder import installed_firmware

_NUMBER = r"(\d+(?:\.\d+)?)"
_POWER = re.compile(
    rf"^Power: {_NUMBER} uA (?:always|for {_NUMBER} ms a measurement, {_NUMBER} uA asleep)",
    re.MULTILINE,
)


def drivers_folder() -> Path:
    """Give where the drivers of this tree are."""
    return installed_firmware().program.parent / "lilong_firmware" / "drivers"


def sensor_of(driver: str, folder: Path) -> Sensor | None:
    """Read the line `Power:` of a driver's docstring; None where there is no such driver."""
    path = folder / f"{driver}.py"
    if not path.is_file():
        return None
    text = ast.get_docstring(ast.parse(path.read_text("utf-8"), str(path))) or ""
    match = _POWER.search(text)
    if match is None:
        raise ToolError(
            f"{path} does not tell its power",
            "add: Power: <n> uA for <n> ms a measurement, <n> uA asleep; or: Power: <n> uA always",
        )
    on_ua, on_ms, off_ua = match.groups()
    if on_ms is None:
        return Sensor(driver, driver, float(on_ua), None, float(on_ua))
    return Sensor(driver, driver, float(on_ua), float(on_ms), float(off_ua))
