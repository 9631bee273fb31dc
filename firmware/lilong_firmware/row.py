"""Readings of one instant."""


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
