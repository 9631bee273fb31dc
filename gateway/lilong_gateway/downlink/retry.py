"""A person's wish to have something tried again on a node: an empty file beside the store."""

from collections.abc import Iterator
from pathlib import Path

from lilong_gateway.key_file import parse_eui

_PREFIX = "retry-"


def wish(data: Path, eui: bytes) -> None:
    """Leave the wish for the gateway of this data folder; OSError."""
    (data / f"{_PREFIX}{eui.hex()}").touch()


def pending(data: Path) -> list[tuple[Path, bytes]]:
    """Return the wishes that were left, each with its node; OSError."""
    return list(_wishes(data))


def withdraw(path: Path) -> None:
    """Remove a wish that was taken over; OSError."""
    path.unlink(missing_ok=True)


def _wishes(data: Path) -> Iterator[tuple[Path, bytes]]:
    for path in sorted(data.glob(f"{_PREFIX}*")):
        eui = parse_eui(path.name.removeprefix(_PREFIX))
        if eui is not None:
            yield path, eui
