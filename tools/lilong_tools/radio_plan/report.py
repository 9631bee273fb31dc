"""The figures of a plan, for people and for programs."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

from lilong_tools.radio_plan.book import Book
from lilong_tools.radio_plan.figures import (
    LOAD,
    Capacity,
    Course,
    Spread,
    capacities,
    course,
    round_s,
    visits_per_min,
)
from lilong_tools.radio_plan.simulator import Setup

CAUTION = "Computed and simulated from assumptions; nothing was measured on a radio."
HEADINGS = ("report every", "in the gateway within", "nodes", "p50", "p99")
_BAR = 40
_MINUTE_S = 60
_HOUR_S = 3600


@dataclass(frozen=True, slots=True)
class Plan:
    """All that is told of one gateway."""

    setup: Setup
    book: Book
    round_s: float
    most_visits_per_min: float
    course: Course
    capacities: Sequence[Capacity]

    def as_dict(self) -> dict[str, object]:
        """Give it for JSON."""
        figures = {
            **asdict(self.setup),
            "measured": False,
            "caution": CAUTION,
            "round_s": self.round_s,
            "most_visits_per_min": self.most_visits_per_min,
            **asdict(self.course),
            "nodes_per_gateway": [asdict(each) for each in self.capacities],
        }
        assumed = {
            one.name: {"value": one.value, "unit": one.unit, "source": one.source}
            for one in self.book
        }
        return {name: _rounded(value) for name, value in figures.items()} | {
            "assumptions": assumed
        }


def plan(setup: Setup, book: Book, *, check: bool) -> Plan:
    """Compute and simulate."""
    return Plan(
        setup,
        book,
        round_s(setup, book),
        visits_per_min(setup, book),
        course(setup, book),
        list(capacities(setup, book, check=check)),
    )


def text_lines(found: Plan) -> Iterator[str]:
    """Give what a terminal shows: the gateway that was asked for, then what one can serve."""
    setup = found.setup
    yield (
        f"{setup.nodes} nodes reporting every {_time(setup.report_s)},"
        f" {setup.adapters} adapter(s) of {setup.slots} slots:"
    )
    for name, value in _facts(found):
        yield f"  {name:<34} {value}"
    if found.course.behind:
        yield "  More comes than is fetched: take fewer nodes, or more adapters."
    yield ""
    yield f"Nodes that one gateway serves, at {LOAD:.0%} of the visits that are possible:"
    most = max(each.nodes for each in found.capacities)
    for each in found.capacities:
        bar = "█" * max(1, round(_BAR * each.nodes / max(1, most)))
        yield (
            f"  every {_time(each.report_s):>6}, in within {_time(each.within_s):>6}"
            f" {each.nodes:>5} {bar}{_checked(each)}"
        )
    yield ""
    yield f"{CAUTION} Assumed:"
    for one in found.book:
        yield f"  {one.name} = {one.value:g} {one.unit} ({one.source})"


def markdown_lines(found: Sequence[Capacity]) -> Iterator[str]:
    """Give the table of capacities as docs/ble.md has it."""
    yield f"| {' | '.join(HEADINGS)} |"
    yield "|" + "---|" * len(HEADINGS)
    for each in found:
        ages = each.staleness_s
        cells = (
            _time(each.report_s),
            _time(each.within_s),
            str(each.nodes),
            "" if ages is None else _time(ages.p50),
            "" if ages is None else _time(ages.p99),
        )
        yield f"| {' | '.join(cells)} |"


def assumption_lines(book: Book) -> Iterator[str]:
    """Give the assumptions as docs/ble.md has them."""
    yield "| assumption | value | source |"
    yield "|---|---|---|"
    for one in book:
        yield f"| `{one.name}` | {one.value:g} {one.unit} | {one.source} |"


def _facts(found: Plan) -> Iterator[tuple[str, str]]:
    ran = found.course
    yield "a round over all of them", _time(found.round_s)
    yield "visits a minute, at most", f"{found.most_visits_per_min:.0f}"
    yield "visits a minute, made", f"{ran.visits_per_min:.1f}"
    yield "age of a report when it is in", _spread(ran.staleness_s, "s")
    yield "alarm known after", _spread(ran.alarm_known_ms, "ms")
    yield "alarm confirmed to the node after", _spread(ran.alarm_confirmed_ms, "ms")
    yield "adapters connect", f"{ran.connect_share:.0%} of the time"
    yield "slots are in use", f"{ran.slot_share:.0%} of the time"
    yield "advertisements fill", f"{ran.advert_share:.1%} of each channel"


def _spread(found: Spread, unit: str) -> str:
    return f"{found.p50:.0f} {unit} (half), {found.p99:.0f} {unit} (99 of 100)"


def _checked(each: Capacity) -> str:
    if each.staleness_s is None:
        return ""
    return f"  p50 {_time(each.staleness_s.p50)}, p99 {_time(each.staleness_s.p99)}"


def _time(seconds: float) -> str:
    if seconds >= _HOUR_S and seconds % _HOUR_S == 0:
        return f"{seconds / _HOUR_S:.0f} h"
    if seconds >= _MINUTE_S and seconds % _MINUTE_S == 0:
        return f"{seconds / _MINUTE_S:.0f} min"
    return f"{seconds:.0f} s"


def _rounded(value: object) -> object:
    """Leave three digits that count: the model has no more."""
    if isinstance(value, float):
        return float(f"{value:.3g}")
    if isinstance(value, Mapping):
        return {name: _rounded(each) for name, each in value.items()}
    return [_rounded(each) for each in value] if isinstance(value, list) else value
