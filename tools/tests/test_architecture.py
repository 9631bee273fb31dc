import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("protocol", "firmware", "gateway", "tools")
MAY_IMPORT = {
    "protocol": set(),
    "firmware": {"protocol"},
    "gateway": {"protocol"},
    "tools": {"protocol", "gateway"},
}
# The protocol has no input or output, no clock and no chance of its own.
NOT_IN_PROTOCOL = {
    *(
        "asyncio",
        "logging",
        "os",
        "pathlib",
        "random",
        "secrets",
        "select",
        "socket",
        "subprocess",
    ),
    *("threading", "time"),
}
# Who may import a library that is not Python's own, or one (sqlite3) that has one home a package.
# A name with a slash at its end is a folder.
IMPORTERS = {
    "aiomqtt": {"gateway/lilong_gateway/uplink/broker.py", "tools/lilong_tools/city/receiver.py"},
    "amqtt": {"tools/lilong_tools/broker.py"},
    "bleak": {"gateway/lilong_gateway/links/ble.py", "tools/lilong_tools/radio/"},
    "bleak_retry_connector": {"gateway/lilong_gateway/links/ble.py"},
    "bluetooth_auto_recovery": {"gateway/lilong_gateway/radio/recovery.py"},
    "bluetooth": {"firmware/lilong_firmware/ble/radio.py"},
    "bumble": {"tools/lilong_tools/radio/"},
    "cbor2": {"gateway/lilong_gateway/senml.py", "tools/lilong_tools/city/pack.py"},
    "cryptography": {
        "protocol/lilong_protocol/aead_cryptography.py",
        "tools/lilong_tools/update/keys.py",
    },
    "cryptolib": {"protocol/lilong_protocol/aead_cryptolib.py"},
    "dbus_fast": {
        "gateway/lilong_gateway/radio/power.py",
        "tools/lilong_tools/radio/bluez_tree.py",
    },
    "ffi": {"firmware/lilong_firmware/virtual/machine.py"},
    "esp32": {
        "firmware/_boot.py",
        "firmware/lilong_firmware/board.py",
        "firmware/loader.py",
    },
    "machine": {
        "firmware/_boot.py",
        "firmware/lilong_firmware/board.py",
        "firmware/lilong_firmware/devices/hardware.py",
        "firmware/loader.py",
    },
    "micropython": {
        "firmware/lilong_firmware/virtual/radio/",
        "protocol/lilong_protocol/portable.py",
    },
    "onewire": {"firmware/lilong_firmware/devices/hardware.py"},
    "paho": {"gateway/lilong_gateway/uplink/broker.py", "tools/lilong_tools/city/receiver.py"},
    "prometheus_client": {"gateway/lilong_gateway/health/metrics.py"},
    "rich": {"tools/lilong_tools/demo/screen.py"},
    "serial": {"gateway/lilong_gateway/links/serial.py"},
    "sqlite3": {"gateway/lilong_gateway/store/", "tools/lilong_tools/city/"},
    "tomlkit": {"gateway/lilong_gateway/key_edit.py"},
    "umachine": {"firmware/lilong_firmware/virtual/machine.py"},
    "vfs": {"firmware/_boot.py"},
}
HOMED = {"sqlite3"}
BASE = {"bootstate", "copies", "keepsakes", "loader", "ramdisk", "storage"}
"""Modules of the firmware outside of its package: they choose from where that comes."""
VIRTUAL = ROOT / "firmware" / "lilong_firmware" / "virtual"
"""What a virtual node has on its search path: its modules import each other by their names."""
BENCH = ROOT / "tools" / "lilong_tools" / "bench"
"""A bench also runs the peers that it measures against."""
MODULE_LINES = 300


@cache
def tracked() -> tuple[Path, ...]:
    """All files of the repository, and those that are about to be."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
    if done.returncode != 0:
        pytest.skip("this is not a git repository")
    paths = (ROOT / name.decode() for name in done.stdout.split(b"\0") if name)
    return tuple(path for path in paths if path.is_file())


def sources(folder: str) -> list[Path]:
    """The modules of a folder that are shipped."""
    below = ROOT / folder
    return [
        path
        for path in tracked()
        if path.suffix == ".py" and below in path.parents and "tests" not in path.parts
    ]


@cache
def imports(path: Path) -> frozenset[str]:
    """The top-level names that a module imports; the relative ones are its own package's."""
    found = set()
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return frozenset(found)


def foreign_imports() -> Iterator[tuple[str, str]]:
    """Every (library, path of the module that imports it)."""
    own = {f"lilong_{folder}" for folder in FOLDERS} | (sys.stdlib_module_names - HOMED) | BASE
    shims = {path.stem for path in VIRTUAL.glob("*.py")} | {
        path.stem for path in (VIRTUAL / "radio").glob("*.py")
    }
    for folder in FOLDERS:
        for path in sources(folder):
            known = own | shims if VIRTUAL in path.parents else own
            for name in imports(path) - known:
                if BENCH not in path.parents:
                    yield name, path.relative_to(ROOT).as_posix()


def home(place: str) -> str:
    package, devices, _ = place.partition("devices/")
    return package + devices if devices else "/".join(place.split("/")[:2])


def is_home(place: str, path: str) -> bool:
    return path.startswith(place) if place.endswith("/") else path == place


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_arrows_between_the_packages_point_one_way(folder: str) -> None:
    allowed = {f"lilong_{name}" for name in MAY_IMPORT[folder] | {folder}}
    wrong = {
        path.relative_to(ROOT).as_posix(): sorted(strangers)
        for path in sources(folder)
        if (strangers := {name for name in imports(path) if name.startswith("lilong")} - allowed)
    }
    assert wrong == {}


def test_nothing_imports_hil_tests() -> None:
    bench = ROOT / "hil_tests"
    outside = [path for path in tracked() if path.suffix == ".py" and bench not in path.parents]
    assert [path for path in outside if "hil_tests" in imports(path)] == []


def test_the_protocol_does_no_input_or_output_and_knows_no_clock() -> None:
    found = {path.name: imports(path) & NOT_IN_PROTOCOL for path in sources("protocol")}
    assert {name: names for name, names in found.items() if names} == {}


def test_every_foreign_library_has_its_importers_in_the_table() -> None:
    strangers = [
        f"{path} imports {library}"
        for library, path in foreign_imports()
        if not any(is_home(place, path) for place in IMPORTERS.get(library, ()))
    ]
    assert strangers == []


def test_no_entry_of_the_table_is_stale() -> None:
    used = list(foreign_imports())
    stale = [
        f"{place} does not import {library}"
        for library, places in IMPORTERS.items()
        for place in sorted(places)
        if not any(name == library and is_home(place, path) for name, path in used)
    ]
    assert stale == []


def test_a_foreign_library_has_one_importer_in_a_package() -> None:
    for library, places in IMPORTERS.items():
        # The modules of the base count for themselves, and what is loaded for devices alone.
        packages = [home(place) for place in places]
        assert len(packages) == len(set(packages)), library


def test_every_folder_holds_the_package_of_its_name_and_no_other() -> None:
    for folder in FOLDERS:
        packages = [path.parent.name for path in (ROOT / folder).glob("*/__init__.py")]
        assert packages == [f"lilong_{folder}"]
    assert list((ROOT / "hil_tests").glob("lilong*")) == []


def test_no_module_is_longer_than_one_can_keep_in_mind() -> None:
    lengths = {
        path.relative_to(ROOT).as_posix(): len(path.read_bytes().splitlines())
        for folder in FOLDERS
        for path in sources(folder)
    }
    assert {path: lines for path, lines in lengths.items() if lines > MODULE_LINES} == {}


def lines_with(pattern: str) -> list[str]:
    """Every line of the repository's text that matches."""
    found = []
    for path in tracked():
        text = path.read_bytes().decode("utf-8", "replace")
        for number, line in enumerate(text.splitlines(), 1):
            if re.search(pattern, line):
                found.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()}")
    return found


def test_no_host_name_of_a_registry_is_written_down() -> None:
    registries = "debian|docker|npmjs|pypi|pythonhosted"
    assert lines_with(rf"(?i)\b({registries})\.(com|io|net|org)\b") == []


def test_no_path_of_a_developers_machine_is_written_down() -> None:
    places = "Users|home|root|tmp|var/tmp|work"
    assert lines_with(rf"(?<![\w.}})~*-])/({places})/\w") == []
