"""Readings of one instant."""

from lilong_firmware.clock import in_unit


class Row:
    """What a source hands over: (channel, value) pairs taken together.

    With `boot` None `time` is in the channels' unit since 2000; otherwise it is milliseconds of
    uptime in that boot. `position` is where the source stands after this row and `part` how many
    readings of it were journalled before a reset; both are 0 where a source has no position.
    """

    def __init__(
        self,
        uptime_ms: int,
        boot: "int | None",
        time: int,
        readings: "list[tuple[int, int]]",
        position: int = 0,
        part: int = 0,
    ) -> None:
        self.uptime_ms = uptime_ms
        self.boot = boot
        self.time = time
        self.readings = readings
        self.position = position
        self.part = part


def by_unit(
    readings: "list[tuple[int, int]]",
    time_exponents: "dict[int, int]",
    uptime_ms: int,
    time_ms: "int | None",
    boot_id: int,
) -> "list[Row]":
    """Return a row for each unit of time among the channels; `time_exponents` has them all."""
    groups: dict[int, list[tuple[int, int]]] = {}
    for reading in readings:
        groups.setdefault(time_exponents[reading[0]], []).append(reading)
    boot = boot_id if time_ms is None else None
    rows = []
    for exponent in sorted(groups):
        time = uptime_ms if time_ms is None else in_unit(time_ms, exponent)
        rows.append(Row(uptime_ms, boot, time, groups[exponent]))
    return rows
