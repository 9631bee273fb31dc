"""Receipts: which positions of which gateway's store the city holds for good, or cannot read."""

import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

RANGES = 500
"""Of one receipt; a gateway reads 1000."""


@dataclass(frozen=True, slots=True)
class Held:
    """One batch that is done with: the gateway it came from and its position in that store.

    It is on the city's disk; refused: it cannot be read, now or ever, and is set aside.
    """

    site: str
    gateway: str
    store: str
    position: int
    refused: bool = False


@dataclass(frozen=True, slots=True)
class Receipt:
    """One message to one gateway: the store and closed ranges of positions, held and refused."""

    site: str
    gateway: str
    store: str
    positions: tuple[tuple[int, int], ...]
    refused: tuple[tuple[int, int], ...] = ()

    def topic(self, prefix: str) -> str:
        """Name the topic on which this gateway listens."""
        return f"{prefix}/{self.site}/{self.gateway}/receipt"

    def payload(self) -> str:
        """Encode as JSON: {"store": ..., "positions": [[from, to], ...]}; "refused" if any."""
        refused = {"refused": self.refused} if self.refused else {}
        return json.dumps({"store": self.store, "positions": self.positions} | refused)


def receipts_of(held: Iterable[Held]) -> list[Receipt]:
    """Merge what is done with into receipts for each gateway and store."""
    groups: dict[tuple[str, str, str, bool], list[int]] = defaultdict(list)
    for one in held:
        groups[one.site, one.gateway, one.store, one.refused].append(one.position)
    found = []
    for (site, gateway, store, refused), positions in groups.items():
        ranges = tuple(merge(positions))
        for start in range(0, len(ranges), RANGES):
            some = ranges[start : start + RANGES]
            both = ((), some) if refused else (some, ())
            found.append(Receipt(site, gateway, store, *both))
    return found


def merge(positions: Iterable[int]) -> list[tuple[int, int]]:
    """Merge positions, in any order and repeated, into closed ranges in rising order."""
    ranges: list[tuple[int, int]] = []
    for position in sorted(set(positions)):
        if ranges and position == ranges[-1][1] + 1:
            ranges[-1] = (ranges[-1][0], position)
        else:
            ranges.append((position, position))
    return ranges
