"""The city's receipts: JSON {"store": "<store id>", "positions": [[from, to], ...]}."""

import json

_BYTES = 65_536
_RANGES = 1000
"""Of one receipt; against a sender gone mad. What is left out comes again."""


def parse_receipt(payload: bytes, store_id: str) -> list[tuple[int, int]] | None:
    """Return the closed ranges of positions; [] for another store, None for anything else."""
    if len(payload) > _BYTES:
        return None
    try:
        receipt = json.loads(payload)
        store, positions = receipt["store"], receipt["positions"]
        ranges = [_range(found) for found in positions[:_RANGES]]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return ranges if store == store_id else []


def _range(found: object) -> tuple[int, int]:
    match found:
        case [int(first), int(last)] if first <= last:
            return first, last
    raise ValueError("a range is [from, to]")
