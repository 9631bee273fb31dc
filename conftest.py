"""Programs that tests run for real; a test without its program is skipped with the reason."""

from pathlib import Path

import pytest

from lilong_tools.errors import ProgramMissingError
from lilong_tools.runtime import find


@pytest.fixture(scope="session")
def micropython() -> Path:
    """MicroPython for unix, of this machine's word size."""
    return _program("micropython")


@pytest.fixture(scope="session")
def micropython32() -> Path:
    """MicroPython for unix with the word size of the device."""
    return _program("micropython32")


@pytest.fixture(scope="session")
def mosquitto() -> Path:
    """The Mosquitto broker."""
    return _program("mosquitto")


@pytest.fixture(scope="session")
def mosquitto_sub() -> Path:
    """The subscriber that comes with Mosquitto."""
    return _program("mosquitto_sub")


@pytest.fixture(scope="session")
def dbus_daemon() -> Path:
    """The daemon of a D-Bus bus."""
    return _program("dbus-daemon")


def _program(name: str) -> Path:
    try:
        return find(name)
    except ProgramMissingError as error:
        pytest.skip(str(error))
