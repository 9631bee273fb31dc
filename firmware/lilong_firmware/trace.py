"""What could be recorded of a node; recording.py does it."""

from lilong_protocol.portable import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from lilong_firmware.journal import Journal
    from lilong_firmware.row import Row


class Trace:
    """Takes note of nothing: what most nodes have."""

    def booted(self, boot_id: int, journal: "Journal") -> None:
        """Note the boot."""

    def sampled(self, row: "Row") -> None:
        """Note the readings of a row."""

    def journalled(
        self, epoch: int, stream: int, seq: int, channels: "tuple[int, ...]", rows: int
    ) -> None:
        """Note a batch that is durable."""

    def synchronised(self, epoch_ms_at_boot: int) -> None:
        """Note that the clock was set."""

    def acknowledged(self, epoch: int, stream: int, next: int) -> None:  # noqa: A002
        """Note that everything below `next` is durable at a gateway."""

    def measured(self, after_import: int, used: int, sent: int, received: int) -> None:
        """Note bytes of heap and of the serial line."""

    def ended(self) -> None:
        """Note the orderly end."""


def open_trace(path: str, unix_ms: "Callable[[], int]") -> Trace:
    """Return what records to a file, nothing when `path` is empty."""
    if not path:
        return Trace()
    from lilong_firmware.recording import Recording  # noqa: PLC0415 - few nodes need its code

    return Recording(path, unix_ms)
