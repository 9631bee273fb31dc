"""What a sink counts."""

from dataclasses import dataclass


@dataclass(slots=True)
class Counters:
    """Since the start of the process; confirmed batches are counted by the outbox.

    published: batches sent, of them repeated: sent again on the same connection for want of a
    receipt or because the broker did not take them (held: how often). refused: batches that the
    city or the broker can never take, of them unformattable: those that failed here. losses:
    connections that broke.
    """

    published: int = 0
    repeated: int = 0
    messages: int = 0
    bytes: int = 0
    receipts: int = 0
    wrong_receipts: int = 0
    held: int = 0
    refused: int = 0
    unformattable: int = 0
    connections: int = 0
    losses: int = 0
