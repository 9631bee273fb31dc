"""The duty that ends the node in an orderly way, when somebody asks or a recording is over."""

import asyncio

from lilong_firmware.files import file_exists, remove_file
from lilong_protocol.portable import TYPE_CHECKING

if TYPE_CHECKING:
    from lilong_firmware.collection import Collection
    from lilong_firmware.journal import Journal
    from lilong_firmware.settings import Settings
    from lilong_firmware.supervision import Duty, Supervisor
    from lilong_protocol.node_session import NodeSession

_LOOK_S = 0.1


class Ending:
    """Asked for by the stop file, or by the end of a replay that is set to exit.

    Reading stops and the open batch is sealed; the node goes on until a gateway has everything.
    """

    def __init__(
        self,
        settings: "Settings",
        collection: "Collection | None",
        session: "NodeSession",
        journal: "Journal",
        supervisor: "Supervisor",
    ) -> None:
        self._stop_file = settings.running.stop_file
        self._collection = collection
        self._session = session
        self._journal = journal
        self._supervisor = supervisor
        sampling = settings.sampling
        replay = None if sampling is None else sampling.sensor.replay
        self._exit_at_end = replay is not None and replay.exit_at_end

    @property
    def possible(self) -> bool:
        """Whether the settings allow for an end at all."""
        return bool(self._stop_file) or self._exit_at_end

    async def run(self, duty: "Duty") -> None:
        """Wait for the wish, then for everything to be delivered."""
        while not self._delivered():
            duty.beat()
            if self._collection is not None and self._asked():
                self._collection.stopping = True
            await asyncio.sleep(_LOOK_S)
        self._supervisor.finished = True

    def clean(self) -> None:
        """Remove the stop file, so that the next start is one."""
        if self._stop_file:
            remove_file(self._stop_file)

    def _asked(self) -> bool:
        return bool(self._stop_file) and file_exists(self._stop_file)

    def _delivered(self) -> bool:
        if self._collection is None:
            read_all = self._asked()
        else:
            stopped = self._exit_at_end or self._collection.stopping
            read_all = stopped and self._collection.ended
        return read_all and self._session.idle and self._journal.held == 0
