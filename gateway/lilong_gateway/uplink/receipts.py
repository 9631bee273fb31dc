"""The city's receipts: JSON {"store": "<store id>", "positions": [[from, to], ...]}.

Optional "refused", ranges too: what the city cannot read and has set aside.
"""

import json
from typing import NamedTuple

_BYTES = 65_536
_RANGES = 1000
"""Of one receipt; against a sender gone mad. What is left out comes again."""

Ranges = list[tuple[int, int]]


class Receipt(NamedTuple):
    """Closed ranges of positions."""

    held: Ranges
    refused: Ranges


def parse_receipt(payload: bytes, store_id: str) -> Receipt | None:
    """Return what is held and refused; nothing for another store, None for anything else."""
    if len(payload) > _BYTES:
        return None
    try:
        receipt = json.loads(payload)
        store = receipt["store"]
        held, refused = _ranges(receipt["positions"]), _ranges(receipt.get("refused", []))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    return Receipt(held, refused) if store == store_id else Receipt([], [])


def _ranges(found: list[object]) -> Ranges:
    return [_range(one) for one in found[:_RANGES]]


def _range(found: object) -> tuple[int, int]:
    match found:
        case [int(first), int(last)] if first <= last:
            return first, last
    raise ValueError("a range is [from, to]")
