"""The figures that a plan of a site needs, each from a course of its own."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from random import Random

from lilong_gateway.radio.neighbourhood import CANDIDATES
from lilong_tools.radio_plan.air import Air
from lilong_tools.radio_plan.book import Book
from lilong_tools.radio_plan.simulator import Setup, Simulator
from lilong_tools.radio_plan.tally import quantile

REPORTS_S = (10, 60, 600, 3600)
"""The reporting intervals for which it is told how many nodes a gateway serves."""

WITHIN_S = 600
"""How old what is delivered may be where that is more than the interval."""

LOAD = 0.6
"""The share of the visits that are possible which a plan may count on."""

_BACKLOG = 10
_ROUNDS = 5
_HOUR_S = 3600.0
_START_S = 600.0
_ALARMS_PER_H = 120


@dataclass(frozen=True, slots=True)
class Spread:
    """What half of all, and 99 of 100, do not exceed."""

    p50: float
    p99: float


@dataclass(frozen=True, slots=True)
class Course:
    """What some hours of a gateway gave. Shares are of the time of all adapters or slots.

    `behind`: more comes than is fetched, so that the ages grow without end.
    """

    staleness_s: Spread
    alarm_known_ms: Spread
    alarm_confirmed_ms: Spread
    alarms: int
    visits_per_min: float
    failures_per_min: float
    connect_share: float
    slot_share: float
    advert_share: float
    behind: bool


@dataclass(frozen=True, slots=True)
class Capacity:
    """How many nodes may report every report_s, if 99 of 100 reports are to be in within_s."""

    report_s: int
    within_s: int
    nodes: int
    staleness_s: Spread | None
    """What the simulation of so many nodes gave, if it was asked for."""


def round_s(setup: Setup, book: Book) -> float:
    """Give the mean time until every node with some batches was visited, from a start."""
    return sum(_round_ms(setup, book, seed) for seed in range(_ROUNDS)) / _ROUNDS / 1000


def _round_ms(setup: Setup, book: Book, seed: int) -> int:
    simulator = Simulator(setup, book, seed)
    simulator.fill(_BACKLOG)
    simulator.agenda.run(setup.nodes * _HOUR_S * 1000, lambda: not simulator.unvisited)
    return simulator.agenda.now_ms


def course(setup: Setup, book: Book) -> Course:
    """Give what comes of reports, and of alarms enough to count, after it has settled."""
    settled_s = max(600.0, 2 * setup.report_s)
    counted_s = max(2 * _HOUR_S, 3 * setup.report_s)
    simulator = Simulator(
        replace(setup, alarms_per_h=_ALARMS_PER_H), book, from_ms=settled_s * 1000
    )
    simulator.make_reports()
    simulator.agenda.run((settled_s + counted_s / 2) * 1000)
    before = simulator.waiting
    simulator.agenda.run((settled_s + counted_s) * 1000)
    tally = simulator.tally
    return Course(
        staleness_s=_spread(tally.ages_ms, 1000),
        alarm_known_ms=_spread(tally.known_ms),
        alarm_confirmed_ms=_spread(tally.confirmed_ms),
        alarms=len(tally.known_ms),
        visits_per_min=tally.visits / counted_s * 60,
        failures_per_min=tally.failures / counted_s * 60,
        connect_share=tally.connecting_ms / counted_s / 1000 / setup.adapters,
        slot_share=tally.slots_ms / counted_s / 1000 / setup.adapters / setup.slots,
        advert_share=simulator.air.advertising,
        behind=simulator.waiting > 2 * before + setup.nodes,
    )


def visits_per_min(setup: Setup, book: Book, batches: float = 1) -> float:
    """Give how many visits are possible, by arithmetic: adapters connect one after the other.

    Each visit fetches so many batches, and holds one of the slots that are not kept for alarms.
    """
    air = Air(book, setup.nodes + setup.bystanders, Random(0), passive=setup.passive)  # noqa: S311
    connect_ms = air.connect_ms()
    stay_ms = air.handshake_ms() + air.transfer_ms(math.ceil(batches)) + air.farewell_ms()
    slots = max(1, setup.slots - 1)
    return setup.adapters * 60_000 / max(connect_ms, (connect_ms + stay_ms) / slots)


def capacities(setup: Setup, book: Book, *, check: bool = False) -> Iterator[Capacity]:
    """Give the nodes that the visits are enough for; `check`: simulate whether they are.

    A visit takes all that waits, so a node needs one in the longer of its interval and within_s.
    """
    for report_s in REPORTS_S:
        for within_s in sorted({report_s, max(report_s, WITHIN_S)}):
            nodes = served(replace(setup, report_s=report_s), book, within_s)
            crowd = replace(setup, nodes=nodes, report_s=report_s)
            found = staleness_s(crowd, book) if check else None
            yield Capacity(report_s, within_s, nodes, found)


def served(setup: Setup, book: Book, within_s: float) -> int:
    """Give for how many nodes there are visits enough; the more there are, the fewer visits."""
    batches = max(1.0, within_s / setup.report_s)

    def enough(nodes: int) -> bool:
        visits = visits_per_min(replace(setup, nodes=nodes), book, batches) / 60 * within_s
        return nodes <= LOAD * visits

    return next((nodes - 1 for nodes in range(1, CANDIDATES) if not enough(nodes)), CANDIDATES)


def staleness_s(setup: Setup, book: Book) -> Spread:
    """Give how old the reports are when they are on disk, from a course of a fair length."""
    settled_s = _START_S + 0.5 * setup.report_s
    simulator = Simulator(setup, book, from_ms=settled_s * 1000)
    simulator.make_reports()
    simulator.agenda.run((settled_s + max(1200, 1.5 * setup.report_s)) * 1000)
    return _spread(simulator.tally.ages_ms, 1000)


def _spread(values: list[int], unit_ms: int = 1) -> Spread:
    return Spread(quantile(values, 0.5) / unit_ms, quantile(values, 0.99) / unit_ms)
