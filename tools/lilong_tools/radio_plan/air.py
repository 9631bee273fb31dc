"""How long things take on the air: times in ms, drawn from the assumptions."""

import math
from dataclasses import dataclass
from random import Random

from lilong_tools.errors import ToolError
from lilong_tools.radio_plan.book import Book

_LEAST = 0.02
"""With less than that share of the advertisements heard, no plan is worth its name."""

_MOST = 0.999


@dataclass(frozen=True, slots=True)
class Attempt:
    """How an attempt to connect goes: for how long the adapter calls, then asks for services."""

    works: bool
    calling_ms: float
    asking_ms: float


class Air:
    """The air around one gateway with so many nodes."""

    def __init__(self, book: Book, nodes: int, random: Random, *, passive: bool = False) -> None:
        self._random = random
        self._listening = book["scan.passive" if passive else "scan.active"]
        self._advert_ms = book["advert.interval"]
        self._alarm_ms = book["advert.alarm_interval"]
        self._delay_ms = book["advert.delay"]
        self._interval_ms = book["connect.interval"]
        self._event_ms = book["scan.event"]
        self._book = book
        self.advertising = nodes * book["advert.packet"] / self._advert_ms
        """The share of a channel's time that advertisements fill."""
        collided = 1 - math.exp(-2 * self.advertising)
        self._passes = (1 - collided) * (1 - book["advert.lost"])
        if self._passes < _LEAST:
            raise ToolError(
                f"{nodes} nodes that advertise every {self._advert_ms:g} ms drown each other",
                "take fewer of them, or a longer advert.interval",
            )

    def until_heard_ms(self, connections: int, *, alarm: bool) -> float:
        """Give when a node's advertisement is heard next, with so many connections beside."""
        taken = min(0.9, connections * self._event_ms / self._interval_ms)
        return self._until_ms(alarm=alarm, heard=self._passes * self._listening * (1 - taken))

    def attempt(self, *, alarm: bool) -> Attempt:
        """Give how an attempt to connect goes; the adapter listens for nothing else meanwhile."""
        book, chance = self._book, self._random.random()
        calling_ms = self._until_ms(alarm=alarm, heard=self._passes)
        if chance < book["connect.hanging"]:
            return Attempt(works=False, calling_ms=book["connect.hanging_time"], asking_ms=0)
        if chance < book["connect.hanging"] + book["connect.failed"]:
            lost_ms = book["connect.failed_after"] * self._interval_ms
            return Attempt(works=False, calling_ms=calling_ms + lost_ms, asking_ms=0)
        calling_ms += book["connect.setup"] * self._interval_ms
        return Attempt(
            works=True,
            calling_ms=calling_ms,
            asking_ms=book["connect.discovery"] * self._round_trip_ms,
        )

    def handshake_ms(self) -> float:
        """Give the time until a session is open and the node is known."""
        return self._book["visit.handshake"] * self._round_trip_ms + self._book["visit.node_time"]

    def transfer_ms(self, batches: int) -> float:
        """Give the time until so many batches are acknowledged, window by window."""
        book = self._book
        window = min(batches, book["batch.window"])
        values = window * (book["batch.payload"] + book["batch.overhead"]) / book["batch.value"]
        events = math.ceil(values / book["batch.values_per_event"])
        answered_ms = self._round_trip_ms + book["batch.commit"]
        radio_ms = (events - 1) * self._interval_ms
        sealing_ms = window * book["batch.seal"]
        windows = math.ceil(batches / book["batch.window"])
        return windows * (answered_ms + max(radio_ms, sealing_ms))

    def farewell_ms(self) -> float:
        """Give the time from the last acknowledgement until the slot is free."""
        return self._book["visit.quiet"] + self._book["visit.leave"]

    def connect_ms(self) -> float:
        """Give the mean time for which one good connect keeps its adapter, failures included."""
        book = self._book
        failing, hanging = book["connect.failed"], book["connect.hanging"]
        good = 1 - failing - hanging
        calling_ms = self._advert_ms / 2
        calling_ms += (1 / self._passes - 1) * (self._advert_ms + self._delay_ms / 2)
        setup_ms = book["connect.setup"] * self._interval_ms
        setup_ms += book["connect.discovery"] * self._round_trip_ms
        lost_ms = book["connect.failed_after"] * self._interval_ms
        failed_ms = failing * (calling_ms + lost_ms) + hanging * book["connect.hanging_time"]
        return calling_ms + setup_ms + failed_ms / good

    @property
    def _round_trip_ms(self) -> float:
        return self._book["connect.round_trip"] * self._interval_ms

    def _until_ms(self, *, alarm: bool, heard: float) -> float:
        interval_ms = self._alarm_ms if alarm else self._advert_ms
        missed = int(math.log(1 - self._random.random()) / math.log(1 - min(_MOST, heard)))
        first_ms = self._random.random() * interval_ms
        return first_ms + missed * (interval_ms + self._delay_ms / 2)
