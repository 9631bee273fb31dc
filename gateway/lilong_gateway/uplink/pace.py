"""How much may be on its way at one time, so that what comes next waits little. No clock.

Bytes of a slow line queue up before it, and whatever is sent next waits behind them. So the bytes
that are not acknowledged are held to what the line carries in a fraction of a second, told by how
much longer an acknowledgement takes than the quickest one did (as LEDBAT, RFC 6817, does it).
"""

_QUEUED_MS = 200
"""How long what comes next may wait behind what is on its way, about."""
_LEAST_BYTES = 2048
_FIRST_BYTES = 16_384
_MOST_BYTES = 1 << 20
_WORK_MS = 3.0
"""Encoding longer than that at a time would keep nodes waiting for their acknowledgements."""


class Pace:
    """The bytes of live data and backlog that may be unacknowledged; one message always may."""

    def __init__(self) -> None:
        self.budget_bytes = _FIRST_BYTES
        self.under_way_bytes = 0
        self._quickest_ms: float | None = None
        self._shrunk_ms = 0.0

    def has_room(self, size_bytes: int) -> bool:
        """Whether so much more may go now."""
        return not self.under_way_bytes or self.under_way_bytes + size_bytes <= self.budget_bytes

    def sent(self, size_bytes: int) -> None:
        """So much went."""
        self.under_way_bytes += size_bytes

    def acknowledged(self, size_bytes: int, sent_ms: float, now_ms: float) -> None:
        """It has arrived."""
        full = 2 * self.under_way_bytes >= self.budget_bytes
        self.under_way_bytes -= size_bytes
        took_ms = now_ms - sent_ms
        if self._quickest_ms is None or took_ms < self._quickest_ms:
            self._quickest_ms = took_ms
        if took_ms - self._quickest_ms > _QUEUED_MS:
            if sent_ms >= self._shrunk_ms:  # of what went before, the excess is known
                self._shrunk_ms = now_ms
                self.budget_bytes = max(_LEAST_BYTES, self.budget_bytes // 2)
        elif full:
            self.budget_bytes = min(_MOST_BYTES, self.budget_bytes + size_bytes)


class Allowance:
    """Batches of a backlog that may be sent, per_s of them in a second; 0: as many as like."""

    def __init__(self, per_s: int, now_ms: float) -> None:
        self._per_s = per_s
        self._free_ms = now_ms

    def wait_ms(self, now_ms: float) -> float:
        """Return how long the next batch has to wait."""
        return max(0.0, self._free_ms - now_ms)

    def most(self) -> int | None:
        """Return how many may go in one message, so that they come evenly; None: any number."""
        return max(1, self._per_s // 10) if self._per_s else None

    def take(self, count: int, now_ms: float) -> None:
        """So many are sent."""
        if self._per_s:
            self._free_ms = max(self._free_ms, now_ms) + count * 1000 / self._per_s


class Size:
    """How many batches go in one message: what the line and one step of work have room for."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._batch_bytes = 1024.0
        self._batch_ms = 1.0

    @property
    def batch_bytes(self) -> float:
        """What a batch was of late."""
        return self._batch_bytes

    def count(self, budget_bytes: int) -> int:
        """Return how many, at least one: a quarter of the budget, a few ms of work."""
        fits = min(budget_bytes / 4 / self._batch_bytes, _WORK_MS / self._batch_ms)
        return max(1, min(self._most, int(fits)))

    def limit(self, most: int) -> None:
        """No more than so many from now on."""
        self._most = max(1, min(self._most, most))

    def learn(self, count: int, size_bytes: int, took_ms: float) -> None:
        """So many were put into messages of that size."""
        self._batch_bytes += (max(1.0, size_bytes / count) - self._batch_bytes) / 8
        self._batch_ms += (max(0.001, took_ms / count) - self._batch_ms) / 8
