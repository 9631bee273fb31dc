"""What hangs on the pins and buses of a virtual node: chips.json of the current folder.

An object from bus to list of chips; the buses are i2c0, uart2, onewire4 and pins. Each chip names
its model, `chip`: the module virtual/chips/<chip>_chip.py. Its world began when the node was
started for the first time (the file world.t0): a reset changes nothing out there.
"""

import json
import time

_CHIPS = "chips.json"
_BEGIN = "world.t0"


class World:
    """All simulated chips, made when they are first asked for."""

    def __init__(self) -> None:
        self._entries = _read(_CHIPS) or {}
        self._begin_ms = _begin_ms()
        self._chips: dict[str, list[object]] = {}

    def now_s(self) -> float:
        """Return the seconds since the node was first started."""
        return (_now_ms() - self._begin_ms) / 1000

    def on(self, bus: str) -> "list[object]":
        """Return the chips on a bus, none where there are none."""
        if bus not in self._chips:
            self._chips[bus] = [self._make(entry) for entry in self._entries.get(bus, ())]
        return self._chips[bus]

    def has(self, bus: str) -> bool:
        """Whether anything hangs on a bus."""
        return bus in self._entries

    def at(self, address: int, bus: str) -> "object":
        """Return the I2C chip with this address, None where nobody has it."""
        for entry, chip in zip(self._entries.get(bus, ()), self.on(bus)):
            if entry["address"] == address:
                return chip
        return None

    def pin(self, number: int) -> "object":
        """Return the chip on this pin, None for a free one."""
        for chip in self.on("pins"):
            if number in chip.pins():
                return chip
        return None

    def _make(self, entry: "dict[str, object]") -> "object":
        name = entry["chip"] + "_chip"
        module = getattr(__import__("chips." + name), name)
        return module.Chip(entry, self.now_s)


def _read(path: str) -> "dict[str, list[dict[str, object]]] | None":
    try:
        with open(path) as file:
            return json.load(file)
    except OSError:
        return None


def _now_ms() -> int:
    return time.time_ns() // 1000000


def _begin_ms() -> int:
    try:
        with open(_BEGIN) as file:
            return int(file.read())
    except (OSError, ValueError):
        begin_ms = _now_ms()
        with open(_BEGIN, "w") as file:
            file.write(str(begin_ms))
        return begin_ms
