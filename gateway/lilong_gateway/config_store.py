"""The settings of the store: how much it may hold, and how long it holds what."""

from dataclasses import dataclass

from lilong_gateway.config_table import Table

_DAY_S = 86_400
_LONGEST_S = 3650 * _DAY_S
_CLASSES = ("P0", "P1", "P2", "P3")
_LEAST_BYTES = 32 << 20
_MOST_BYTES = 1 << 46


@dataclass(frozen=True)
class Storage:
    """max_bytes: of database and log together. keep_confirmed_s: for what is delivered.

    keep_s: how long batches of each privacy class, P0 to P3, stay at most, delivered or not, but
    for alarms; None: until they are delivered. thin_last: patterns of the names of channels that
    are thinned only when nothing else is left to thin. reserve_bytes: of a file that is given up
    when the disk is full.
    """

    max_bytes: int = 2 << 30
    keep_confirmed_s: int = _DAY_S
    keep_s: tuple[int | None, ...] = (
        None,
        None,
        7 * _DAY_S,
        _DAY_S,
    )
    thin_last: tuple[str, ...] = ()
    reserve_bytes: int = 8 << 20


def read_storage(root: Table) -> Storage:
    """Return the table [store]."""
    table = root.table("store", list(Storage.__dataclass_fields__))
    usual = Storage()
    keep = table.table("keep_s", list(_CLASSES))
    return Storage(
        max_bytes=table.whole("max_bytes", usual.max_bytes, _LEAST_BYTES, _MOST_BYTES),
        keep_confirmed_s=table.whole("keep_confirmed_s", _DAY_S, 0, _LONGEST_S),
        keep_s=tuple(_limit(keep, name, usual) for name in _CLASSES),
        thin_last=table.texts("thin_last", []),
        reserve_bytes=table.whole("reserve_bytes", usual.reserve_bytes, 0, 1 << 30),
    )


def _limit(keep: Table, name: str, usual: Storage) -> int | None:
    default = usual.keep_s[_CLASSES.index(name)]
    if name not in keep.keys:
        return default
    return keep.whole(name, default, 60, _LONGEST_S)
