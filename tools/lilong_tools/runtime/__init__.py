"""The programs that virtual nodes and tests run: from this machine, or from Debian's archive."""

from lilong_tools.runtime.finder import (
    find,
    find_dbus_daemon,
    find_micropython,
    find_micropython32,
    find_mosquitto,
    find_mosquitto_sub,
)

__all__ = [
    "find",
    "find_dbus_daemon",
    "find_micropython",
    "find_micropython32",
    "find_mosquitto",
    "find_mosquitto_sub",
]
