"""What a simulated course gave. Times in ms; what began before from_ms is not counted."""

from collections.abc import Sequence
from dataclasses import dataclass, field


def quantile(values: Sequence[float], share: float) -> float:
    """Give the value that this share of all does not exceed; 0 without any."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


@dataclass(slots=True)
class Tally:
    """Counts from from_ms on."""

    from_ms: float
    ages_ms: list[int] = field(default_factory=list)
    """From when a batch was made until it was on disk."""

    known_ms: list[int] = field(default_factory=list)
    """From when an alarm was raised until the gateway knew of it."""

    confirmed_ms: list[int] = field(default_factory=list)
    """And until the node had its acknowledgement."""

    visits: int = 0
    failures: int = 0
    connecting_ms: int = 0
    slots_ms: int = 0

    def delivered(self, made_ms: int, now_ms: int) -> None:
        """Count a batch."""
        if made_ms >= self.from_ms:
            self.ages_ms.append(now_ms - made_ms)

    def known(self, raised_ms: int, now_ms: int) -> None:
        """Count an alarm that came to be known."""
        if raised_ms >= self.from_ms:
            self.known_ms.append(now_ms - raised_ms)

    def confirmed(self, raised_ms: int, now_ms: int) -> None:
        """Count an alarm that was confirmed to its node."""
        if raised_ms >= self.from_ms:
            self.confirmed_ms.append(now_ms - raised_ms)

    def connected(self, began_ms: int, now_ms: int) -> None:
        """Count a connect."""
        if began_ms >= self.from_ms:
            self.connecting_ms += now_ms - began_ms

    def failed(self, began_ms: int, now_ms: int) -> None:
        """Count a connect that did not come about."""
        if began_ms >= self.from_ms:
            self.failures += 1
            self.connecting_ms += now_ms - began_ms
            self.slots_ms += now_ms - began_ms

    def visited(self, began_ms: int, now_ms: int) -> None:
        """Count a visit at its end."""
        if began_ms >= self.from_ms:
            self.visits += 1
            self.slots_ms += now_ms - began_ms
