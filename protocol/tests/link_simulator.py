"""Two ends over a line with a virtual clock, and what is to hold of them; run it for a table.

    python protocol/tests/link_simulator.py

prints the share of the line's bytes that became new batches on the gateway's disk, for our
sessions and, in the same simulator, for go-back-N and stop-and-wait.
"""

import argparse
import dataclasses
import heapq
import random
import sys
from collections.abc import Callable
from typing import Protocol

import link_ends as ends

from lilong_protocol import frame
from lilong_protocol.node_session import OPEN
from lilong_protocol.round_trip import RoundTrip
from lilong_protocol.serial import wrap

WINDOW = 16
ITEM_BYTES = 240
DATA_FRAME_BYTES = ITEM_BYTES + 19
ACK_FRAME_BYTES = 21


@dataclasses.dataclass(frozen=True)
class Line:
    """What happens to frames in either direction; shares are of frames, times in ms."""

    loss: float = 0.0
    duplicated: float = 0.0
    overtaken: float = 0.0
    delay_ms: float = 10.0
    bytes_per_s: float = 11520.0
    commit_ms: float = 10.0


class End(Protocol):
    """One side of a line."""

    def poll(self, now_ms: int) -> bytes | None: ...
    def receive(self, data: bytes, now_ms: int) -> None: ...
    def due_ms(self, now_ms: int) -> int: ...


class Simulator:
    """A heap of things to do at their times; each end sends one frame at a time."""

    def __init__(self, line: Line, seed: int) -> None:
        self.now_ms = 0.0
        self.random = random.Random(seed)
        self.line = line
        self._ends: list[End] = []
        self._free_ms = [0.0, 0.0]
        self._wake_ms: list[float | None] = [None, None]
        self._todo: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0

    def connect(self, node: End, gateway: End) -> None:
        self._ends = [node, gateway]
        self.wake(0)
        self.wake(1)

    def at(self, delay_ms: float, action: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._todo, (self.now_ms + delay_ms, self._count, action))

    def run(self, span_ms: float, until: Callable[[], bool] = lambda: False) -> bool:
        """Let time pass; return whether `until` came true within it."""
        end_ms = self.now_ms + span_ms
        while self._todo and self._todo[0][0] <= end_ms:
            self.now_ms, _, action = heapq.heappop(self._todo)
            action()
            if until():
                return True
        self.now_ms = max(self.now_ms, end_ms)
        return False

    def wake(self, side: int) -> None:
        """Let an end look for something to send, now or when its line is free."""
        self._wake_ms[side] = None
        if self._free_ms[side] > self.now_ms:
            self._look_at(side, self._free_ms[side])
            return
        end = self._ends[side]
        data = end.poll(int(self.now_ms))
        if data is None:
            self._look_at(side, self.now_ms + max(1, end.due_ms(int(self.now_ms))))
            return
        busy_ms = len(wrap(data)) * 1000 / self.line.bytes_per_s
        self._free_ms[side] = self.now_ms + busy_ms
        self._carry(1 - side, data, busy_ms)
        self._look_at(side, self._free_ms[side])

    def _look_at(self, side: int, time_ms: float) -> None:
        self._wake_ms[side] = time_ms

        def look() -> None:
            if self._wake_ms[side] == time_ms:
                self.wake(side)

        self.at(time_ms - self.now_ms, look)

    def _carry(self, side: int, data: bytes, busy_ms: float) -> None:
        line = self.line
        arrival_ms = busy_ms + line.delay_ms
        if self.random.random() < line.overtaken:
            arrival_ms += self.random.random() * 5 * line.delay_ms
        copies = (self.random.random() >= line.loss) + (self.random.random() < line.duplicated)
        for _ in range(copies):
            self.at(arrival_ms, lambda: self._arrive(side, data))

    def _arrive(self, side: int, data: bytes) -> None:
        self._ends[side].receive(data, int(self.now_ms))
        self.wake(side)


class WindowSender:
    """Go-back-N: everything from the first unacknowledged on is sent again; 1 is stop-and-wait."""

    def __init__(self, count: int, window: int) -> None:
        self.count = count
        self._window = window
        self._base = self._next = self._top = 0
        self._went_back = -1
        self._sent_ms: dict[int, int] = {}
        self._timer_ms = 0
        self._round_trip = RoundTrip()

    def poll(self, now_ms: int) -> bytes | None:
        if self._base < self._next and now_ms - self._timer_ms >= self._round_trip.timeout_ms:
            self._round_trip.expired()
            self._next = self._base
        if self._next >= min(self.count, self._base + self._window):
            return None
        seq = self._next
        self._next += 1
        if seq == self._base:
            self._timer_ms = now_ms
        if seq >= self._top:
            self._sent_ms[seq] = now_ms
            self._top = seq + 1
        else:
            self._sent_ms.pop(seq, None)
        return seq.to_bytes(4, "big") + bytes(DATA_FRAME_BYTES - 4)

    def receive(self, data: bytes, now_ms: int) -> None:
        after = int.from_bytes(data[:4], "big")
        if after > self._base:
            if after - 1 in self._sent_ms:
                self._round_trip.measured(now_ms - self._sent_ms[after - 1])
            self._base = after
            self._next = max(self._next, after)
            self._timer_ms = now_ms
        elif after == self._base and self._went_back != after and self._window > 1:
            self._went_back = after
            self._next = after

    def due_ms(self, now_ms: int) -> int:
        return max(0, self._timer_ms + self._round_trip.timeout_ms - now_ms)


class WindowReceiver:
    """Takes only the next one; acknowledges each frame once it is on disk."""

    def __init__(self, simulator: Simulator) -> None:
        self.stored_bytes = 0
        self._next = 0
        self._acks: list[int] = []
        self._simulator = simulator

    def poll(self, now_ms: int) -> bytes | None:  # noqa: ARG002
        if not self._acks:
            return None
        after = self._acks[-1]
        self._acks = []
        return after.to_bytes(4, "big") + bytes(ACK_FRAME_BYTES - 4)

    def receive(self, data: bytes, now_ms: int) -> None:  # noqa: ARG002
        if int.from_bytes(data[:4], "big") == self._next:
            self._next += 1
        after = self._next
        self._simulator.at(self._simulator.line.commit_ms, lambda: self._stored(after))

    def _stored(self, after: int) -> None:
        self.stored_bytes = after * ITEM_BYTES
        self._acks.append(after)
        self._simulator.wake(1)

    def due_ms(self, now_ms: int) -> int:  # noqa: ARG002
        return 60000


class Link:
    """A node and a gateway on a line."""

    def __init__(self, line: Line, seed: int, capacity: int = 1 << 30) -> None:
        self.store: dict[tuple[int, int, int], bytes] = {}
        self.outbox = ends.WatchedOutbox(self.store, capacity)
        self.simulator = Simulator(line, seed)
        self.node = ends.NodeEnd(self.simulator, self.outbox)
        self.gateway = ends.GatewayEnd(self.simulator, self.store)
        self.simulator.connect(self.node, self.gateway)

    def is_alarmed(self) -> bool:
        """Whether every alarm is on the disk."""
        return self.gateway.durable(frame.ALARM_STREAM) == self.outbox.next(frame.ALARM_STREAM)

    def is_delivered(self) -> bool:
        """Whether all that was appended is on the disk and the node knows it."""
        return len(self.store) + self.outbox.given_up >= len(self.outbox.appended) and (
            self.node.session.state == OPEN and self.node.session.idle
        )


def ours(line: Line, seed: int, count: int) -> float:
    """Return the payload bytes per ms from the first batch to the last."""
    link = Link(line, seed)
    for number in range(count):
        link.outbox.append(frame.DATA_STREAM, number.to_bytes(4, "big") * (ITEM_BYTES // 4))
    link.simulator.run(600_000, lambda: link.node.session.state == OPEN)
    begun_ms = link.simulator.now_ms
    if not link.simulator.run(100_000_000, lambda: len(link.store) == count):
        raise ends.BrokenRuleError("a batch never arrived")
    return link.gateway.stored_bytes / (link.simulator.now_ms - begun_ms)


def theirs(line: Line, seed: int, count: int, window: int) -> float:
    """Return the same for go-back-N, or stop-and-wait with a window of 1."""
    simulator = Simulator(line, seed)
    receiver = WindowReceiver(simulator)
    simulator.connect(WindowSender(count, window), receiver)
    done = count * ITEM_BYTES
    if not simulator.run(100_000_000, lambda: receiver.stored_bytes == done):
        raise ends.BrokenRuleError("a batch never arrived")
    return done / simulator.now_ms


LINES = {
    "115200 baud, 10 ms each way": Line(),
    "921600 baud, 5 ms each way": Line(delay_ms=5.0, bytes_per_s=92160.0, commit_ms=5.0),
    "BLE, 12 kB/s, 30 ms each way": Line(delay_ms=30.0, bytes_per_s=12000.0),
    "115200 baud, acknowledged after 6 frames": Line(delay_ms=60.0, commit_ms=10.0),
}
LOSSES = (0.0, 0.01, 0.05, 0.1, 0.2)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batches", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args(arguments)
    for name, line in LINES.items():
        print(f"{name}; share of the line / of the lossless run")
        print("  loss  selective, window 16   go-back-16     stop-and-wait")
        lossless: list[float] = []
        for loss in LOSSES:
            lossy = dataclasses.replace(line, loss=loss)
            seed, count = chosen.seed, chosen.batches
            speeds = [ours(lossy, seed, count)]
            speeds += [theirs(lossy, seed, count, window) for window in (WINDOW, 1)]
            lossless = lossless or speeds
            full = line.bytes_per_s / 1000
            pairs = zip(speeds, lossless, strict=True)
            cells = [f"{speed / full:.2f} / {speed / best:.3f}" for speed, best in pairs]
            print(f"  {loss:4.0%}  " + "     ".join(cells))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
