"""The state folder of a virtual node: what flash and provisioning are to a real one."""

import importlib.util
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lilong_tools.errors import NodeSettingsError

KEY_BYTES = 16
EUI_DIGITS = 16


def make_folder(folder: Path, settings: Mapping[str, object], key: bytes) -> None:
    """Write settings.json and key.bin (mode 0600) into `folder`, which is made when absent.

    A journal that is already there stays. NodeSettingsError when EUI or key have the wrong size.
    """
    if len(key) != KEY_BYTES:
        problem = f"the key of the node in {folder} has {len(key)} bytes"
        raise NodeSettingsError(problem, f"give {KEY_BYTES} bytes")
    _checked_eui(settings, folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "settings.json").write_text(json.dumps(settings, indent=1), "utf-8")
    key_file = folder / "key.bin"
    key_file.unlink(missing_ok=True)
    descriptor = os.open(key_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(key)


def read_eui(folder: Path) -> str:
    """Give the EUI (16 hexadecimal digits) of the node which lives in `folder`."""
    try:
        settings = json.loads((folder / "settings.json").read_text("utf-8"))
    except (OSError, ValueError) as error:
        problem = f"{folder / 'settings.json'} cannot be read ({error})"
        raise NodeSettingsError(problem, "make the folder with make_folder first") from error
    return _checked_eui(settings, folder)


@dataclass(frozen=True)
class Firmware:
    """Where the node's program is, and where MicroPython finds its modules."""

    program: Path
    module_path: tuple[str, ...]

    @property
    def micropypath(self) -> str:
        """The variable MICROPYPATH; .frozen keeps the modules built into MicroPython."""
        return ":".join(self.module_path)


def installed_firmware() -> Firmware:
    """Find the firmware of this tree, without importing it; the shim of `machine` comes first."""
    firmware = _folder_of("lilong_firmware")
    protocol = _folder_of("lilong_protocol")
    program = firmware / "main.py"
    if not program.is_file():
        raise NodeSettingsError(f"{program} is missing", "run from a clone, after `make setup`")
    shim = firmware / "lilong_firmware" / "virtual"
    return Firmware(program, (str(shim), ".frozen", str(protocol), str(firmware)))


def _folder_of(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise NodeSettingsError(f"the package {package} is missing", "run `make setup`")
    return Path(spec.origin).parent.parent


def _checked_eui(settings: Mapping[str, object], folder: Path) -> str:
    eui = settings.get("eui")
    if isinstance(eui, str) and len(eui) == EUI_DIGITS and set(eui) <= set("0123456789abcdef"):
        return eui
    problem = f"the EUI {eui!r} of the node in {folder} is none"
    raise NodeSettingsError(problem, f"give {EUI_DIGITS} lower-case hexadecimal digits")
