"""Where the base's loader enters the application of a slot."""

from lilong_firmware.app import App
from lilong_firmware.board import Board
from lilong_protocol.portable import TYPE_CHECKING

if TYPE_CHECKING:
    from loader import Boot


def run(boot: "Boot") -> None:
    """Run the node until its orderly end."""
    App(Board(), boot).run()
