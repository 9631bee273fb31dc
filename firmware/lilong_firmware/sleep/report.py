"""What a node that sleeps tells of itself: one reading of its own channels when it is whole."""

from lilong_firmware.batcher import Batcher
from lilong_firmware.sampler import Sampler
from lilong_protocol.portable import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from lilong_firmware.collection import Shelf
    from lilong_firmware.health import Health


class _Reading:
    """One of those channels, as Sampler asks for it."""

    time_exponent = 0

    def __init__(self, number: int, interval_ms: int) -> None:
        self.number = number
        self.interval_ms = interval_ms


class Report:
    """`numbers` are the channels of the descriptor, `interval_ms` is the least time between."""

    def __init__(
        self,
        health: "Health",
        numbers: "list[int]",
        interval_ms: int,
        boot_id: int,
        shelf: "Shelf",
        log: "Callable[[str], None]",
    ) -> None:
        self.interval_ms = interval_ms
        channels = [_Reading(number, interval_ms) for number in numbers]
        self._source = Sampler(health, channels, health.clock, boot_id, log)
        self._batcher = Batcher(shelf.put, len(numbers), 0)

    def tell(self, now_ms: int) -> None:
        """Put a reading of them into the journal."""
        for row in self._source.rows(now_ms):
            self._batcher.add(row)
        self._batcher.flush()
