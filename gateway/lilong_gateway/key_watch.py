"""Takes over what changes in the key file while the gateway runs."""

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from lilong_gateway.blocking import in_thread
from lilong_gateway.errors import ConfigError
from lilong_gateway.health.pulse import Pulse
from lilong_gateway.key_file import load_keys
from lilong_gateway.keys import KeyRing
from lilong_gateway.logs import pairs

_LOOK_S = 1.0
_READ_S = 10.0
_LOG = logging.getLogger(__name__)


class _Mark(NamedTuple):
    """Tells one state of a file from another."""

    mtime_ns: int
    size: int
    inode: int


@dataclass(slots=True)
class Counters:
    """Since the start of the process: changes taken over, and files that were not."""

    loads: int = 0
    failures: int = 0
    trouble: str = ""


class KeyWatch:
    """Looks at the key file each second; run() for ever, in one task.

    A file that has changed is read once it has rested for a look, for whoever writes it in place
    may still be writing. One that cannot be used changes nothing.
    """

    def __init__(self, file: Path, keys: KeyRing, pulse: Pulse | None = None) -> None:
        self.counters = Counters()
        self._pulse = pulse or Pulse()
        self._file = file
        self._keys = keys
        self._hasty = asyncio.Event()
        self._seen: _Mark | None = None
        self._judged: _Mark | None = None

    def hasten(self) -> None:
        """Read the file now, whether it has changed or not."""
        self._hasty.set()

    async def run(self) -> None:
        """Follow the file for ever."""
        while True:
            await self.look()
            self._pulse.rest()
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_S):
                    await self._hasty.wait()

    async def look(self) -> None:
        """Take over the file if it has changed and rested, or if that was asked for."""
        hasty = self._hasty.is_set()
        self._hasty.clear()
        self._pulse.work()
        try:
            mark = await in_thread(self._mark, _READ_S)
            rested, self._seen = mark == self._seen, mark
            if hasty or (rested and mark != self._judged):
                await self._judge(mark, hasty=hasty)
        except TimeoutError:
            self._judged = None
            trouble = f"{self._file}: no answer within {_READ_S:g} s; check its disk"
            self._fail(trouble, again=trouble == self.counters.trouble)

    async def _judge(self, mark: _Mark | None, *, hasty: bool) -> None:
        self._pulse.work()
        try:
            fresh = await in_thread(self._read, _READ_S)
        except ConfigError as error:
            self._judged = mark
            self._fail(str(error))
            return
        self._pulse.work()
        if await in_thread(self._mark, _READ_S) == mark:
            self._judged = mark
            self._take(fresh, hasty=hasty)

    def _read(self) -> KeyRing:
        fresh = load_keys(self._file)
        if not len(fresh) and len(self._keys):
            problem = "holds no node any more; to turn all away, name them under [revoked]"
            raise ConfigError(str(self._file), 0, "", problem)
        return fresh

    def _take(self, fresh: KeyRing, *, hasty: bool) -> None:
        change = self._keys.take(fresh)
        self.counters.trouble = ""
        if not hasty and not any(change):
            return
        self.counters.loads += 1
        fields = {"nodes": len(fresh), "rotating": fresh.rotating, "revoked": len(fresh.revoked)}
        _LOG.info("keys taken over %s", pairs(**fields, **change._asdict()))

    def _fail(self, trouble: str, *, again: bool = False) -> None:
        self.counters.failures += 1
        self.counters.trouble = trouble
        if not again:
            _LOG.error("keys stay as they were %s", pairs(error=trouble))

    def _mark(self) -> _Mark | None:
        try:
            status = self._file.stat()
        except OSError:
            return None
        return _Mark(status.st_mtime_ns, status.st_size, status.st_ino)
