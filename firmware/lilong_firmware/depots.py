"""What keeps updates, loaded when the first one comes."""

from lilong_protocol.portable import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from lilong_firmware.board import Board
    from lilong_firmware.sink import Inbox
    from lilong_firmware.transfer import Depot
    from loader import Boot


def open_updates(
    inbox: "Inbox", boot: "Boot", board: "Board", feed: "Callable[[], None]"
) -> "Depot":
    """Load what verifies and keeps updates, some 20 KiB that a node seldom needs."""
    # The leaves first: an import inside an import costs stack, of which the chip has 16 KiB.
    for name in ("sha512", "ed25519", "cose", "manifest"):
        __import__("lilong_protocol." + name)
    from lilong_firmware.update import Update  # noqa: PLC0415 - see above

    return Update(inbox, boot, board.device_class(), "update.pub", board.next_image, feed)
