"""The operator's folders, looked at again and again: a file is read when it has come to rest."""

import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from lilong_gateway.downlink.bundle import SUFFIX, TOTAL_LIMIT
from lilong_gateway.downlink.goods import (
    CONFIGURATION_SUFFIX,
    Configuration,
    Goods,
    Update,
    read_goods,
)
from lilong_gateway.errors import UnusableFileError

UPDATES_LIMIT = 64
CONFIGURATIONS_LIMIT = 1024


class _Mark(NamedTuple):
    """Tells one state of a file from another."""

    mtime_ns: int
    size: int
    inode: int


@dataclass(frozen=True, slots=True)
class _Item:
    """One file. goods and trouble are both absent until it was read."""

    mark: _Mark
    goods: Goods | None = None
    trouble: str = ""

    @property
    def was_read(self) -> bool:
        return self.goods is not None or bool(self.trouble)


@dataclass(frozen=True)
class Shelf:
    """What lies in the folders; look() gives the next state and leaves this one as it is.

    updates are sorted, the newest first; configurations are by the node. troubles are files and
    folders that cannot be used, a line each.
    """

    updates: tuple[Update, ...] = ()
    configurations: dict[bytes, Configuration] = field(default_factory=dict)
    troubles: tuple[str, ...] = ()
    held_limit: int = TOTAL_LIMIT
    """Bytes of bundles that are kept in memory."""
    _items: dict[Path, _Item] = field(default_factory=dict, repr=False)

    def look(
        self,
        updates: Path | None,
        configurations: Path | None,
        keys: Sequence[bytes] | None,
    ) -> "Shelf":
        """Return what lies there now; it reads files and may take long. None: no such folder."""
        items: dict[Path, _Item] = {}
        troubles: list[str] = []
        held = 0
        for folder, suffix, limit in (
            (updates, SUFFIX, UPDATES_LIMIT),
            (configurations, CONFIGURATION_SUFFIX, CONFIGURATIONS_LIMIT),
        ):
            for path in _paths(folder, suffix, limit, troubles):
                item = _look_at(path, self._items.get(path), keys, self.held_limit - held)
                if item is not None:
                    items[path] = item
                    held += item.goods.parcel.size if isinstance(item.goods, Update) else 0
        return _arranged(items, troubles, self.held_limit)


def _paths(folder: Path | None, suffix: str, limit: int, troubles: list[str]) -> Iterable[Path]:
    """Return the files of a folder; hidden ones, as those half written, do not count."""
    if folder is None:
        return ()
    try:
        names = [path for path in folder.iterdir() if path.suffix == suffix]
    except OSError as error:
        troubles.append(f"{folder} cannot be read ({error.strerror}); make it, for this user")
        return ()
    paths = sorted(path for path in names if not path.name.startswith("."))
    if len(paths) > limit:
        troubles.append(f"{folder} holds more than {limit} files *{suffix}; remove old ones")
    return paths[-limit:]


def _look_at(
    path: Path, before: _Item | None, keys: Sequence[bytes] | None, room: int
) -> _Item | None:
    mark = _mark(path)
    if mark is None:
        return None
    if before is None or before.mark != mark:
        return _Item(mark)
    if before.was_read:
        return before
    try:
        goods = read_goods(path, keys)
    except UnusableFileError as error:
        item = _Item(mark, trouble=str(error))
    else:
        item = _Item(mark, goods)
        if isinstance(goods, Update) and goods.parcel.size > room:
            problem = "the bundles together have too many bytes; remove old ones"
            item = _Item(mark, trouble=f"{path} is left out: {problem}")
    return item if _mark(path) == mark else None


def _arranged(items: dict[Path, _Item], troubles: list[str], held_limit: int) -> Shelf:
    updates: dict[tuple[str, int], Update] = {}
    configurations: dict[bytes, Configuration] = {}
    for path, item in items.items():
        if item.trouble:
            troubles.append(item.trouble)
        match item.goods:
            case Update() as update:
                key = (update.device_class, update.sequence)
                other = updates.setdefault(key, update)
                if other.parcel.digest != update.parcel.digest:
                    what = f"{path} has the sequence {update.sequence} of {other.name}"
                    troubles.append(f"{what}, which is taken; build it again with a higher one")
            case Configuration() as configuration:
                # Two spellings of one EUI: the last one in the order of names.
                configurations[configuration.eui] = configuration
    newest = sorted(updates.values(), key=_sequence, reverse=True)
    return Shelf(tuple(newest), configurations, tuple(troubles), held_limit, items)


def _sequence(update: Update) -> int:
    return update.sequence


def _mark(path: Path) -> _Mark | None:
    try:
        status = path.stat()
    except OSError:
        return None
    if not stat.S_ISREG(status.st_mode):
        return None
    return _Mark(status.st_mtime_ns, status.st_size, status.st_ino)
