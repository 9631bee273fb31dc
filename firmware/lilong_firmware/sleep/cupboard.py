"""From the retained memory into the journal."""

from lilong_firmware.batcher import Batcher
from lilong_firmware.errors import StorageError
from lilong_firmware.row import by_unit
from lilong_firmware.sleep.rounds import read_rounds
from lilong_protocol.frame import DATA_STREAM
from lilong_protocol.portable import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from lilong_firmware.journal import Journal
    from lilong_firmware.sleep.retained import Retained
    from lilong_firmware.sleep.state import State
    from lilong_firmware.trace import Trace

    Time = Callable[[int], int | None]


class Cupboard:
    """Moves rounds into the journal: none is lost, and none comes there twice.

    Every batch carries the number of its last reading in the same record of flash. Rounds are
    forgotten after that; those that a reset kept from being forgotten are known by it.
    `exponents` are the time exponents of the channels.
    """

    def __init__(
        self,
        retained: "Retained",
        exponents: "dict[int, int]",
        batch_readings: int,
        journal: "Journal",
        trace: "Trace",
        wake: "asyncio.Event",
        log: "Callable[[str], None]",
    ) -> None:
        self._retained = retained
        self._exponents = exponents
        self._batch_readings = batch_readings
        self._journal = journal
        self._trace = trace
        self._wake = wake
        self._log = log
        self._complained = False

    def put_away(self, state: "State", time_ms: "Time") -> bool:
        """Empty the log of a state; False when flash refused some of it, which stays there.

        `time_ms` tells the time at an uptime; no round gets one before that of the last.
        """
        if not state.log:
            return True
        source, position, part = self._journal.mark(DATA_STREAM)
        done = max(state.first, position + part) if source == state.source else state.first
        batcher = Batcher(self._put, self._batch_readings, 0, (state.source, done, 0))
        try:
            number = self._add(batcher, state, done, time_ms)
            batcher.flush()
        except StorageError as error:
            if not self._complained:
                self._log("rounds stay in the retained memory: " + str(error))
            self._complained = True
            return False
        state.failed += batcher.unencodable
        state.clear(number)
        self._retained.save(state)
        return True

    def _add(self, batcher: Batcher, state: "State", done: int, time_ms: "Time") -> int:
        """Give the batcher what is not `done`; return the number of the next reading."""
        number = state.first
        for uptime_ms, readings in read_rounds(state):
            known = [reading for reading in readings if reading[0] in self._exponents]
            moment = time_ms(uptime_ms)
            if moment is not None:
                moment = state.told_ms = max(moment, state.told_ms + 1)
            for row in by_unit(known, self._exponents, uptime_ms, moment, state.boot_id):
                missing = max(0, min(len(row.readings), done - number))
                number += len(row.readings)
                row.readings = row.readings[missing:]
                row.position = number
                if row.readings:
                    self._trace.sampled(row)
                    batcher.add(row)
        return number

    def _put(
        self, item: bytes, channels: "tuple[int, ...]", rows: int, mark: "tuple[int, int, int]"
    ) -> None:
        journal = self._journal
        seq = journal.append(DATA_STREAM, item, mark)
        self._trace.journalled(journal.epoch, DATA_STREAM, seq, channels, rows)
        self._wake.set()
