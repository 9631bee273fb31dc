"""Assumptions and scenarios as they stand in the two files beside this one."""

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

from lilong_tools.energy.model import Cell, Chip, Costs, Load, Sensor
from lilong_tools.energy.power import sensor_of
from lilong_tools.errors import ToolError


@dataclass(frozen=True, slots=True)
class Assumption:
    """One number that is taken for granted."""

    name: str
    value: float
    unit: str
    source: str


@dataclass(frozen=True, slots=True)
class Scenario:
    """One of the 27. `remarks` say what the model or the firmware does not do of it."""

    number: int
    name: str
    load: Load
    remarks: Sequence[str]


class Assumptions:
    """What assumptions.toml holds."""

    def __init__(self) -> None:
        self._groups = _read("assumptions.toml")

    def all(self, chip: str) -> Iterator[Assumption]:
        """Give those that are used for a chip, in the order of the file."""
        for group, entries in self._groups.items():
            inner = {f"{group}.{chip}": entries[chip]} if group == "chips" else {group: entries}
            for path, numbers in inner.items():
                for name, (value, unit, source) in numbers.items():
                    yield Assumption(f"{path}.{name}", float(value), unit, source)

    @property
    def chips(self) -> list[str]:
        """The chips that there are numbers for."""
        return list(self._groups["chips"])

    def chip(self, name: str) -> Chip:
        """Give one of them."""
        number = self._numbers(self._groups["chips"][name])
        return Chip(
            sleep_ua=number["sleep"],
            active_ma=number["active"],
            radio_ma=number["radio"],
            boot_ms=number["boot_time"],
            boot_mc=number["boot_charge"],
        )

    def costs(self) -> Costs:
        """Give what is the same for all chips."""
        wake, send = self._numbers(self._groups["wake"]), self._numbers(self._groups["send"])
        board, buffer = self._numbers(self._groups["board"]), self._numbers(self._groups["buffer"])
        return Costs(
            board_ua=board["regulator"] + board["divider"],
            mount_ms=wake["mount_time"],
            mount_mc=wake["mount_charge"],
            code_ms=wake["code_time"],
            start_s=send["start_time"],
            find_s=send["find_time"],
            session_s=send["session_time"],
            linger_s=send["linger_time"],
            reading_b=send["reading"],
            overhead_b=send["overhead"],
            throughput_b_s=send["throughput"],
            room_b=buffer["room"],
            round_b=buffer["round"],
            value_b=buffer["value"],
        )

    def cell(self, rated_mah: float) -> Cell:
        """Give a cell of that capacity."""
        cell = self._numbers(self._groups["cell"])
        return Cell(rated_mah, cell["usable"], cell["self_discharge"])

    @staticmethod
    def _numbers(entries: Mapping[str, Sequence[Any]]) -> dict[str, float]:
        return {name: float(entry[0]) for name, entry in entries.items()}


def read_scenarios(drivers: Path, *, switched: bool = False) -> list[Scenario]:
    """Give all scenarios; with `switched` what runs always is on for each round alone."""
    return [_scenario(entry, drivers, switched) for entry in _read("scenarios.toml")["scenario"]]


def _scenario(entry: Mapping[str, Any], drivers: Path, switched: bool) -> Scenario:  # noqa: FBT001
    remarks = list(entry.get("remarks", []))
    sensors: list[Sensor] = []
    for part in entry["sensors"]:
        sensor = _sensor(part, drivers, entry["number"])
        if not sensor.driver:
            remarks.append(f"no driver: {sensor.name}")
        if switched and sensor.on_ms is None and "settle_ms" in part:
            sensor = replace(sensor, on_ms=float(part["settle_ms"]), off_ua=0.0)
        sensors += [sensor] * int(part.get("count", 1))
    load = Load(
        mains=entry["supply"] == "mains",
        sample_s=float(entry["sample_s"]),
        report_s=float(entry["report_s"]),
        channels=int(entry["channels"]),
        events_a_day=float(entry.get("events_a_day", 0)),
        sensors=tuple(sensors),
    )
    return Scenario(entry["number"], entry["name"], load, tuple(remarks))


def _sensor(part: Mapping[str, Any], drivers: Path, number: int) -> Sensor:
    if "driver" not in part:
        always = float(part["always_ua"])
        return Sensor(part["part"], "", always, None, always)
    found = sensor_of(part["driver"], drivers)
    if found is None:
        raise ToolError(
            f"scenario {number} names the driver {part['driver']}, which is not there",
            "correct scenarios.toml: a part without a driver has its current there",
        )
    if "always_ua" in part:
        # What hangs on the pins has its own supply current, of which the driver knows nothing.
        always = found.on_ua + float(part["always_ua"])
        return replace(found, name=part["part"], on_ua=always, on_ms=None, off_ua=always)
    return found


def _read(name: str) -> dict[str, Any]:
    return tomllib.loads(files("lilong_tools.energy").joinpath(name).read_text("utf-8"))
