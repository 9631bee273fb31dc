"""Where the base's loader enters the application of a slot."""

from lilong_firmware.board import Board
from lilong_protocol.portable import TYPE_CHECKING, const

if TYPE_CHECKING:
    from lilong_firmware.sleep.probe import OpenProbe
    from loader import Boot

_DEEP_SLEEP = const(4)


def run(boot: "Boot", board: "Board | None" = None, open_probe: "OpenProbe | None" = None) -> None:
    """Run the node until its orderly end.

    After a deep sleep it mostly takes a round of readings and sleeps again: nothing else of it
    is loaded.
    """
    board = Board() if board is None else board
    waking = None
    if board.reset_cause() == _DEEP_SLEEP and not (boot.trial or boot.recovery):
        from lilong_firmware.sleep.waking import awaken  # noqa: PLC0415 - see above

        waking = awaken(board, open_probe)
        if waking is not None:
            waking.sleep_on()
    from lilong_firmware.app import App  # noqa: PLC0415 - see above

    App(board, boot, waking, open_probe).run()
