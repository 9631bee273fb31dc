"""How much room there is for batches, and when what is old has to make some."""

from typing import NamedTuple

from lilong_gateway.store.database import Database, disk_bytes, free_bytes

CAP = "cap"
DISK = "disk"

_LOG_BYTES = 1 << 20
"""The least that the log needs to grow on the disk."""

_ALARMS_PART = 64
"""One part of so many of the capacity is for alarms alone."""

_OWN_PART = 4
"""A store that takes one part of so many of its disk is what fills it."""

_PRESSED_PART = 10
_RELIEVED_PART = 5


class Room(NamedTuple):
    """Bytes: of all files, of what they hold, of what they still take; cause: why not more.

    capacity is what may be used at all, under the cap and on the disk as it is now. disk_bytes is
    the size of the whole disk.
    """

    size_bytes: int
    used_bytes: int
    free_bytes: int
    cause: str
    disk_bytes: int

    @property
    def may_thin(self) -> bool:
        """Whether thinning helps: not where others have filled the disk, who would take more."""
        return self.cause == CAP or self.size_bytes >= self.disk_bytes // _OWN_PART

    @property
    def capacity(self) -> int:
        """Bytes that are used and that are free."""
        return self.used_bytes + self.free_bytes

    def is_for_alarms(self, more_bytes: int) -> bool:
        """Whether so much more may not come, as the room that is left is for alarms."""
        return self.free_bytes - more_bytes < self.capacity // _ALARMS_PART

    @property
    def is_pressed(self) -> bool:
        """Whether what is old has to make room."""
        return self.free_bytes < self.capacity // _PRESSED_PART

    @property
    def is_relieved(self) -> bool:
        """Whether it has made enough."""
        return self.free_bytes >= self.capacity // _RELIEVED_PART


def measure(database: Database) -> Room:
    """Return the room there is now; StoreError."""
    page = database.limits.page_bytes
    with database.reading():
        pages = database.number("page_count")
        unused = database.number("freelist_count")
        under_cap = database.room_under_cap
    log = database.log_size
    size = database.file.stat().st_size
    disk = free_bytes(database.file.parent) - max(0, pages * page - size) - database.kept_free
    on_disk = max(0, disk - max(0, _LOG_BYTES - log))
    cause = CAP if under_cap <= on_disk else DISK
    free = unused * page + min(under_cap, on_disk)
    if cause == DISK and disk + log < _LOG_BYTES:
        free = 0
    whole = disk_bytes(database.file.parent)
    return Room(size + log, (pages - unused) * page, free, cause, whole)
