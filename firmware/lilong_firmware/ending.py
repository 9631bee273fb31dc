"""The duty that ends the node in an orderly way, when somebody asks or a recording is over."""

import asyncio

from lilong_firmware.files import file_exists, remove_file
from lilong_protocol.portable import TYPE_CHECKING, const

if TYPE_CHECKING:
    from lilong_firmware.collection import Collection
    from lilong_firmware.journal import Journal
    from lilong_firmware.supervision import Duty, Supervisor
    from lilong_protocol.node_session import NodeSession

_LOOK_S = const(0.1)


class Ending:
    """Asked for by the stop file, or by the end of a replay that is set to exit.

    Reading stops and the open batches are sealed; the node goes on until a gateway has everything.
    `stop_file` is empty where the node is no process: a chip has nowhere to end to.
    """

    def __init__(
        self,
        stop_file: str,
        recording: "Collection | None",
        others: "list[Collection]",
        session: "NodeSession",
        journal: "Journal",
        supervisor: "Supervisor",
        *,
        exit_at_end: bool,
    ) -> None:
        self._stop_file = stop_file
        self._recording = recording
        self._collections = others + ([] if recording is None else [recording])
        self._session = session
        self._journal = journal
        self._supervisor = supervisor
        self._exit_at_end = exit_at_end

    @property
    def possible(self) -> bool:
        """Whether the settings allow for an end at all."""
        return bool(self._stop_file) or self._exit_at_end

    async def run(self, duty: "Duty") -> None:
        """Wait for the wish, then for everything to be delivered."""
        while not self._delivered():
            duty.beat()
            if self._asked() or self._played():
                for collection in self._collections:
                    collection.stop()
            await asyncio.sleep(_LOOK_S)
        self._supervisor.finished = True

    def clean(self) -> None:
        """Remove the stop file, so that the next start is one."""
        if self._stop_file:
            remove_file(self._stop_file)

    def _asked(self) -> bool:
        return bool(self._stop_file) and file_exists(self._stop_file)

    def _delivered(self) -> bool:
        wanted = self._asked() or self._played()
        ended = all(collection.ended for collection in self._collections)
        return wanted and ended and self._session.idle and self._journal.held == 0

    def _played(self) -> bool:
        """Whether a recording is over that is set to end the node."""
        return self._exit_at_end and self._recording is not None and self._recording.ended
