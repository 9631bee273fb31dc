"""How large the parts of a store may grow, so that all of it never exceeds its cap."""

from dataclasses import dataclass

_LEAST_LOG_BYTES = 8 << 20
_MOST_LOG_BYTES = 32 << 20
_FRAME_BYTES = 24
"""What the log adds to each page, https://www.sqlite.org/fileformat2.html section 4."""

_INDEX_FRAMES = 4096
_INDEX_BYTES = 32768
"""The shared memory grows by so much for so many pages in the log."""

_PAGES_A_ROW = 2
_PAGES_BESIDE = 256
"""What a transaction may touch: for each entry two pages of indexes, and what all share."""

ROW_BYTES = 110
"""What a row and its place in the indexes take beside the item."""

ENTRY_BYTES = 1280
"""No entry is larger: an item fits in one frame, and a row adds little."""


@dataclass(frozen=True, slots=True)
class Limits:
    """In bytes but for pages: of the database, of its log, and of one page."""

    max_bytes: int
    page_bytes: int

    @property
    def log_bytes(self) -> int:
        """The log never grows beyond it."""
        return max(_LEAST_LOG_BYTES, min(self.max_bytes // 8, _MOST_LOG_BYTES))

    @property
    def checkpoint_pages(self) -> int:
        """From so many pages in the log on they go to the database after a commit."""
        return self.log_bytes // 4 // self.page_bytes

    @property
    def max_pages(self) -> int:
        """Of the database; the rest of the cap is the log's and its index's."""
        frames = self.log_bytes // self.page_bytes
        index = (frames // _INDEX_FRAMES + 2) * _INDEX_BYTES
        return (self.max_bytes - self.log_bytes - index) // self.page_bytes

    def log_need(self, entries: int) -> int:
        """Return by how much a transaction of so many entries lets the log grow at most."""
        pages = _PAGES_BESIDE + entries * _PAGES_A_ROW + entries * ENTRY_BYTES // self.page_bytes
        return pages * (self.page_bytes + _FRAME_BYTES)

    @property
    def most_entries(self) -> int:
        """So many entries may be one transaction."""
        rest = self.log_bytes // 2 - self.log_need(0)
        return max(1, rest // (self.log_need(1) - self.log_need(0) + self.page_bytes))
