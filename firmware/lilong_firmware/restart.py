"""Resets on purpose: never before the answer that announced one has left."""

import asyncio

from lilong_firmware.errors import StorageError
from lilong_firmware.files import replace_file
from lilong_protocol.portable import TYPE_CHECKING

if TYPE_CHECKING:
    from lilong_firmware.board import Board
    from lilong_firmware.clock import Clock
    from lilong_protocol.node_session import NodeSession
    from loader import Boot

PLANNED = 18
"""Reset cause beyond machine's and those of crash.py: the node wanted it."""
UPDATE = 19
"""The node wanted it, to try an update."""

_LOOK_S = 0.1
_LONGEST_LOOKS = 100
_MOMENT_S = 1.0


class Restart:
    """Ends this boot. `cause_path` is the file that tells the next one why."""

    def __init__(
        self,
        board: "Board",
        boot: "Boot",
        session: "NodeSession",
        clock: "Clock",
        cause_path: str,
    ) -> None:
        self._board = board
        self._boot = boot
        self._session = session
        self._clock = clock
        self._cause_path = cause_path
        self.wanted: int | None = None
        """Why the node restarts once it has answered; None: it does not."""

    async def if_wanted(self) -> None:
        """Restart if somebody wants it, when nothing is due for the line or after 10 s."""
        if self.wanted is None:
            return
        for _ in range(_LONGEST_LOOKS):
            if self._session.due_ms(self._clock.uptime_ms()) > 0:
                break
            await asyncio.sleep(_LOOK_S)
        # What has left the session is still in the chip's buffer.
        await asyncio.sleep(_MOMENT_S)
        self.now(self.wanted)

    def now(self, cause: int) -> None:
        """Restart; it counts as no early end of this boot."""
        self._board.log("restart, cause " + str(cause))
        self._boot.settle()
        try:
            replace_file(self._cause_path, (str(cause) + " 0").encode())
        except StorageError as error:
            self._board.log("the cause is lost: " + str(error))
        self._board.reset()
