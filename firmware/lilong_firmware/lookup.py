"""Finds the batch of a number in the journal's log."""

from lilong_protocol.frame import STREAMS
from lilong_protocol.portable import TYPE_CHECKING

if TYPE_CHECKING:
    from lilong_firmware.cursor import Cursor
    from lilong_firmware.log import Log


class Lookup:
    """Keeps, for each stream, where the next batch is likely to lie, and which run is missing.

    A run that is missing stays so: what is not in the log any more never comes back.
    """

    def __init__(self, log: "Log") -> None:
        self._log = log
        self._sector = [-1] * STREAMS
        self._offset = [0] * STREAMS
        self._gap_begin = [0] * STREAMS
        self._gap_end = [0] * STREAMS

    def find(self, stream: int, seq: int) -> "Cursor | None":
        """Return a cursor that has loaded the batch; None when it is not there or damaged."""
        if self._gap_begin[stream] <= seq < self._gap_end[stream]:
            return None
        cursor = self._guess(stream, seq) or self._search(stream, seq)
        if cursor is None or not cursor.load():
            return None
        self._sector[stream] = cursor.sector
        self._offset[stream] = cursor.offset + cursor.bytes
        return cursor

    def missing(self, stream: int, seq: int) -> int:
        """Return the lowest number after `seq` that may be there, `seq` when it may be itself."""
        if self._gap_begin[stream] <= seq < self._gap_end[stream]:
            return self._gap_end[stream]
        return seq

    def _guess(self, stream: int, seq: int) -> "Cursor | None":
        sector = self._sector[stream]
        if sector < 0 or not self._log.index.number(sector):
            return None
        cursor = self._log.cursor(sector, careful=True)
        found = cursor.stand_on(self._offset[stream])
        return cursor if found and _is(cursor, stream, seq) else None

    def _search(self, stream: int, seq: int) -> "Cursor | None":
        index = self._log.index
        after = self._log.positions.next[stream]
        for sector in range(index.sectors):
            within, above = index.lowest(sector, stream, seq)
            if within:
                cursor = self._log.cursor(sector)
                while cursor.step():
                    if _is(cursor, stream, seq):
                        return cursor
                    if cursor.is_batch and cursor.stream == stream and seq < cursor.seq < after:
                        after = cursor.seq
                        self._sector[stream] = sector
                        self._offset[stream] = cursor.offset
            elif above is not None:
                after = min(after, above)
        self._gap_begin[stream] = seq
        self._gap_end[stream] = after
        return None


def _is(cursor: "Cursor", stream: int, seq: int) -> bool:
    return cursor.is_batch and cursor.stream == stream and cursor.seq == seq
