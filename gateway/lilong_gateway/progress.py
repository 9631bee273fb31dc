"""How far a long command is, for a person at a terminal."""

import time
from typing import TextIO

_WIDTH = 30
_EVERY_S = 0.2


class Progress:
    """Call it with how much is done, and of how much; where no person looks it says nothing."""

    def __init__(self, what: str, stream: TextIO) -> None:
        self._what = what
        self._stream = stream
        self._shown = False
        self._next_s = 0.0
        self._is_watched = stream.isatty()

    def __call__(self, done: int, total: int) -> None:
        """Show it, a few times a second."""
        now_s = time.monotonic()
        if not self._is_watched or now_s < self._next_s:
            return
        self._next_s = now_s + _EVERY_S
        self._shown = True
        part = min(1.0, done / total) if total > 0 else 1.0
        bar = "#" * round(part * _WIDTH)
        self._stream.write(f"\r{self._what} [{bar:<{_WIDTH}}] {part:4.0%}")
        self._stream.flush()

    def clear(self) -> None:
        """Make the line free for something else."""
        if self._shown:
            self._shown = False
            self._stream.write("\r\x1b[K")
            self._stream.flush()
