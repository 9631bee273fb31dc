"""What can go wrong with virtual radios, on request of a test or of a demo."""

import random
from collections import defaultdict, deque
from collections.abc import Iterable

from lilong_tools.errors import ToolError

SMALLEST_MTU = 23


class Faults:
    """The faults that an air plays; controllers are meant by their names.

    `busy`: they refuse to connect (Command Disallowed). `wedged`: they take commands and report
    no advertisement until they are reset. `mute`: they answer nothing until their power is
    cycled. `advert_loss`: a share more of advertisements is lost.
    `drops_per_s`: connections go silent at random, each as often as that.
    """

    def __init__(self, chance: random.Random) -> None:
        self.busy: set[str] = set()
        self.wedged: set[str] = set()
        self.mute: set[str] = set()
        self.advert_loss = 0.0
        self.drops_per_s = 0.0
        self._chance = chance
        self._refusals: defaultdict[str, deque[int]] = defaultdict(deque)
        self._mtu_limit: int | None = None

    @property
    def mtu_limit(self) -> int | None:
        """The largest ATT MTU that two hosts may agree on; None is no limit."""
        return self._mtu_limit

    @mtu_limit.setter
    def mtu_limit(self, limit: int | None) -> None:
        if limit is not None and limit < SMALLEST_MTU:
            raise ToolError(f"an MTU of {limit} is not possible", f"give {SMALLEST_MTU} or more")
        self._mtu_limit = limit

    def on_reset(self, name: str) -> None:
        """Hear that a controller was reset, which cures what ailed it."""
        self.wedged.discard(name)
        self.mute.discard(name)

    def refuse(self, name: str, status: int, times: int = 1) -> None:
        """Let the next connections from or to a controller fail with an HCI error status."""
        self._refusals[name].extend([status] * times)

    def refusal(self, names: Iterable[str]) -> int:
        """Take the status that a connection between these fails with; 0 if it does not."""
        for name in names:
            if waiting := self._refusals.get(name):
                return waiting.popleft()
        return 0

    def drop_after_s(self) -> float | None:
        """Return how long a new connection lives; None if nothing ends it."""
        return self._chance.expovariate(self.drops_per_s) if self.drops_per_s else None
