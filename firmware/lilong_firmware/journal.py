"""Batches that no gateway has yet, in flash: they survive a power cut at any instant.

A log over the sectors of a flash (log, record), of which the memory keeps no more than a few
numbers a sector (index). A sector is erased once before it is written; nothing is ever programmed
twice but the mark that makes a sector void. No sequence number is used twice in one epoch.

An acknowledgement is kept in memory and goes to flash with the next sector: after a power cut some
batches are sent again, which the gateway tells apart by their numbers.
"""

from lilong_firmware.errors import JournalFullError, StorageError
from lilong_firmware.log import Log
from lilong_firmware.lookup import Lookup
from lilong_firmware.record import (
    ITEM_LIMIT,
    MARK_BYTES,
    NOWHERE,
    POSITIONS_BYTES,
    Positions,
    record_bytes,
)
from lilong_firmware.thinning import choose, move
from lilong_protocol.frame import CONTROL_STREAM
from lilong_protocol.portable import TYPE_CHECKING, const

if TYPE_CHECKING:
    from collections.abc import Callable

    from lilong_firmware.area import Flash

_LONG_RUN = const(64)
_ATTEMPTS = const(2)


class Journal:
    """The outbox of a NodeSession, on a flash.

    When it is full, the oldest sector makes room: alarms and control stay, bulk goes, and of the
    data one batch in six stays, so that of a long outage a coarse record is left. What went is
    read as None, and counted as dropped. `random(n)` returns n random bytes.
    """

    def __init__(self, device: "Flash", random: "Callable[[int], bytes]") -> None:
        self._log = Log(device)
        self._lookup = Lookup(self._log)
        from lilong_firmware.inventory import Inventory  # noqa: PLC0415 - for the start alone

        found = Inventory(self._log)
        self.counters = {
            "damaged": found.damaged,
            "foreign": found.foreign,
            "dropped": 0,
            "failed": found.failed,
        }
        self._noted = list(self._positions.first)
        if not found.found:
            self._begin(random)
        self.epoch = self._log.epoch
        """What the numbers are unique in."""

    # The outbox of a session

    def first(self, stream: int) -> int:
        """Return the lowest sequence number that is not acknowledged."""
        return self._positions.first[stream]

    def next(self, stream: int) -> int:
        """Return the sequence number that the next batch will get."""
        return self._positions.next[stream]

    def read(self, stream: int, seq: int) -> "bytes | None":
        """Return the item of a held batch, None when it gave way or is damaged.

        Where a long run of numbers gave way, `first` moves behind it: a new session tells the
        gateway so, for less than a frame a number.
        """
        first = self._positions.first
        if not first[stream] <= seq < self._positions.next[stream]:
            return None
        try:
            found = self._lookup.find(stream, seq)
        except StorageError:
            self.counters["failed"] += 1
            return None
        if found is not None:
            return bytes(found.item)
        after = self._lookup.missing(stream, seq)
        if seq == first[stream] and after - seq > _LONG_RUN:
            first[stream] = after
        return None

    def acknowledged(self, stream: int, next: int) -> None:  # noqa: A002 - the session's word
        """Forget everything below `next`: it is durable elsewhere."""
        positions = self._positions
        beyond = next > positions.next[stream]
        positions.first[stream] = max(positions.first[stream], next)
        if beyond:
            # A gateway has seen numbers of which nothing is left here: after a reset, too, none
            # of them may come again.
            positions.next[stream] = next
            self.settle()

    # The node's own side

    def append(self, stream: int, item: bytes, mark: "tuple[int, int, int]" = NOWHERE) -> int:
        """Make a batch durable and return its sequence number.

        JournalFullError when only more urgent batches are held; StorageError when flash fails or
        the item is longer than ITEM_LIMIT.
        """
        if len(item) > ITEM_LIMIT:
            raise StorageError("journal: an item of " + str(len(item)) + " bytes")
        size = record_bytes(len(item) + (MARK_BYTES if mark != NOWHERE else 0))
        problem = StorageError("journal: not tried")
        for _ in range(_ATTEMPTS):
            try:
                if self._log.room < size:
                    self._advance(stream, size)
                return self._log.write_batch(stream, item, mark)
            except JournalFullError:
                raise
            except StorageError as error:
                self.counters["failed"] += 1
                problem = error
        raise problem

    def mark(self, stream: int) -> "tuple[int, int, int]":
        """Return the mark of the newest batch of a stream."""
        return self._positions.marks[stream]

    def settle(self) -> None:
        """Make durable what is acknowledged, before a planned end."""
        if self._noted == self._positions.first:
            return
        try:
            if self._log.room < record_bytes(POSITIONS_BYTES):
                self._advance(CONTROL_STREAM, 0)
            else:
                self._log.write_positions()
            self._noted = list(self._positions.first)
        except StorageError:
            self.counters["failed"] += 1

    def renew(self, random: "Callable[[int], bytes]") -> bool:
        """Begin a new epoch, whose numbers begin at 0; False while anything is held.

        For a gateway that claims positions which cannot be.
        """
        if self.held:
            return False
        log = self._log
        before = log.epoch, log.positions
        log.positions = Positions()
        if not self._begin(random):
            log.epoch, log.positions = before
            return False
        for sector in range(log.index.sectors):
            if sector != log.sector:
                log.index.clear(sector)
        self._lookup = Lookup(log)
        self.epoch = log.epoch
        return True

    @property
    def crowded(self) -> bool:
        """Whether more than half of the room is taken: what can wait had better wait."""
        return self.fill_permille > 500

    @property
    def fill_permille(self) -> int:
        """How much of the room is taken: in how many sectors something is not acknowledged."""
        index = self._log.index
        first = self._positions.first
        live = [1 for sector in range(index.sectors) if index.is_live(sector, first)]
        return len(live) * 1000 // max(1, index.sectors)

    @property
    def held(self) -> int:
        """How many numbers are not acknowledged, those that gave way included."""
        return sum(self._positions.next) - sum(self._positions.first)

    @property
    def _positions(self) -> Positions:
        return self._log.positions

    def _begin(self, random: "Callable[[int], bytes]") -> bool:
        self._log.epoch = int.from_bytes(random(4), "little")
        try:
            self._log.open()
        except StorageError:
            self.counters["failed"] += 1
            return False
        self._noted = list(self._positions.first)
        return True

    def _advance(self, stream: int, size: int) -> None:
        """Open a sector in which `size` bytes find room, and see to it that one is free."""
        log = self._log
        victim = choose(log, stream, size) if log.index.free() == 1 else None
        log.open()
        self._noted = list(self._positions.first)
        if victim is not None:
            self.counters["dropped"] += move(log, victim, size)
