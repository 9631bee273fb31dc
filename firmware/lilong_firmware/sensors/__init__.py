"""What a sensor is.

`read` returns the readings that belong together, as (channel number, scaled integer), or none:
a channel that is left out has a gap. It raises SensorError when the sensor does not answer. It
is called at most once per report interval and never concurrently.
"""

from lilong_protocol.portable import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Protocol

    class Sensor(Protocol):
        """Gives readings when asked."""

        def read(self, uptime_ms: int, time_ms: "int | None") -> "list[tuple[int, int]]":
            """Return what is measured now; `time_ms` since 2000 is None while it is unknown."""
