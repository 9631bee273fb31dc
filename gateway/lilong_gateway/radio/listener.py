"""What is done with every advertisement that an adapter hears: judged, its alarm handed on."""

import asyncio
from dataclasses import asdict
from functools import partial

from lilong_gateway.clock import Clock
from lilong_gateway.errors import StoreError
from lilong_gateway.ingest import Ingest
from lilong_gateway.keys import KeyRing
from lilong_gateway.proofs import Proofs
from lilong_gateway.radio.alarm_board import LISTED, AlarmBoard
from lilong_gateway.radio.judge import Heard, Judge
from lilong_gateway.roster import Roster
from lilong_gateway.store.store import Store

_LOOK_S = 1.0


class Listener:
    """heard() for each advertisement, and run() for ever, in one task."""

    def __init__(
        self,
        keys: KeyRing,
        proofs: Proofs,
        roster: Roster,
        store: Store,
        ingest: Ingest,
        clock: Clock,
    ) -> None:
        self.board = AlarmBoard(ingest, clock)
        self._judge = Judge(keys, proofs, roster)
        self._store = store
        self._ingest = ingest
        self._clock = clock
        self._recalled = False

    @property
    def counters(self) -> dict[str, int]:
        """What was heard since the start, and what became of the alarms among it."""
        return asdict(self._judge.counters) | asdict(self.board.counters)

    def heard(
        self, advert: bytes, adapter: str, rssi_dbm: int | None, now_ms: int
    ) -> Heard | None:
        """Take the 24 bytes after the company identifier; None: not to be believed.

        A believed one that is repeated is returned again, and not fresh.
        """
        heard = self._judge.hear(advert, adapter, now_ms)
        if heard is not None:
            self.board.hear(heard, adapter, rssi_dbm)
        return heard

    async def run(self) -> None:
        """Ask the store what is old, until it answers; then look after the alarms for ever."""
        while True:
            if not self._recalled:
                await self._recall()
            self.board.look()
            self._save()
            await asyncio.sleep(_LOOK_S)

    async def _recall(self) -> None:
        try:
            believed = await self._store.believed()
            notices = await self._store.notices(LISTED)
        except StoreError:
            return  # Ingest and the uplink meet the same trouble and report it.
        self._recalled = True
        self.board.recall(notices)
        for heard in self._judge.recall(believed, self._clock.steady_ms()):
            self.board.hear(heard, "", None)

    def _save(self) -> None:
        if self._ingest.trouble is None:
            entry = self._judge.unsaved(self._clock.steady_ms())
            if entry is not None:
                self._ingest.offer(entry, partial(self._judge.saved, entry))
