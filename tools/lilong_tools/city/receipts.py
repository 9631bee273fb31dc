"""Receipts: which positions of which gateway's store the city holds for good."""

import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Held:
    """One batch on the city's disk: the gateway it came from and its position in that store."""

    site: str
    gateway: str
    store: str
    position: int


@dataclass(frozen=True, slots=True)
class Receipt:
    """One message to one gateway: the store and the closed ranges of positions held."""

    site: str
    gateway: str
    store: str
    positions: tuple[tuple[int, int], ...]

    def topic(self, prefix: str) -> str:
        """Name the topic on which this gateway listens."""
        return f"{prefix}/{self.site}/{self.gateway}/receipt"

    def payload(self) -> str:
        """Encode as JSON: {"store": ..., "positions": [[from, to], ...]}."""
        return json.dumps({"store": self.store, "positions": self.positions})


def receipts_of(held: Iterable[Held]) -> list[Receipt]:
    """Merge what is held into one receipt for each gateway and store."""
    groups: dict[tuple[str, str, str], list[int]] = defaultdict(list)
    for one in held:
        groups[one.site, one.gateway, one.store].append(one.position)
    return [Receipt(*key, tuple(merge(positions))) for key, positions in groups.items()]


def merge(positions: Iterable[int]) -> list[tuple[int, int]]:
    """Merge positions, in any order and repeated, into closed ranges in rising order."""
    ranges: list[tuple[int, int]] = []
    for position in sorted(set(positions)):
        if ranges and position == ranges[-1][1] + 1:
            ranges[-1] = (ranges[-1][0], position)
        else:
            ranges.append((position, position))
    return ranges
