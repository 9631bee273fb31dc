"""The model's result for one scenario, and how it is written."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from lilong_tools.energy.book import Assumptions, Scenario
from lilong_tools.energy.model import PARTS, Cell, Chip, Costs, day_mah, fits, life_days

CAUTION = "Computed from datasheets and published figures; nothing was measured on hardware."
HEADINGS = ("#", "scenario", "supply", *PARTS, "mAh a day", "days", "most for")
_TWO_YEARS_DAYS = 730


@dataclass(frozen=True, slots=True)
class Result:
    """What one scenario takes; `days` is None where no sleep is possible between the rounds."""

    scenario: Scenario
    parts: Mapping[str, float]
    days: float | None

    @property
    def total_mah(self) -> float:
        """All parts together."""
        return sum(self.parts.values())

    @property
    def most(self) -> str:
        """The part that takes most."""
        return max(self.parts, key=lambda part: self.parts[part])

    @property
    def remarks(self) -> list[str]:
        """What is to be known about it."""
        own = ["it is awake all the time: use the mains"] if self.days is None else []
        return own + list(self.scenario.remarks)

    def cells(self) -> tuple[str, ...]:
        """Give a row of the table, as HEADINGS has it."""
        scenario, load = self.scenario, self.scenario.load
        supply = "mains" if load.mains else "battery"
        days = "-" if self.days is None else _days(self.days)
        numbers = [_mah(self.parts[part]) for part in PARTS]
        return (
            *(str(scenario.number), scenario.name, supply, *numbers),
            *(_mah(self.total_mah), days, self.most),
        )

    def as_dict(self) -> dict[str, object]:
        """Give it for JSON."""
        load = self.scenario.load
        return {
            "number": self.scenario.number,
            "scenario": self.scenario.name,
            "supply": "mains" if load.mains else "battery",
            "sample_s": load.sample_s,
            "report_s": load.report_s,
            "parts_mah": {part: round(value, 4) for part, value in self.parts.items()},
            "mah_a_day": round(self.total_mah, 4),
            "days": None if self.days is None else round(self.days, 2),
            "most_for": self.most,
            "remarks": self.remarks,
        }


def result(scenario: Scenario, chip: Chip, costs: Costs, cell: Cell) -> Result:
    """Compute one scenario."""
    parts = day_mah(scenario.load, chip, costs)
    possible = fits(scenario.load, chip, costs)
    days = life_days(sum(parts.values()), cell) if possible else None
    return Result(scenario, parts, days)


def text_lines(results: Sequence[Result], book: Assumptions, chip: str) -> Iterator[str]:
    """Give the table, the remarks and the assumptions as lines for a terminal."""
    rows = [HEADINGS, *[each.cells() for each in results]]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    for row in rows:
        yield "  ".join(
            cell.ljust(width) for cell, width in zip(row, widths, strict=True)
        ).rstrip()
    yield ""
    for each in results:
        for remark in each.remarks:
            yield f"{each.scenario.number}: {remark}"
    yield ""
    yield f"{CAUTION} Assumed:"
    for one in book.all(chip):
        yield f"  {one.name} = {one.value:g} {one.unit} ({one.source})"


def markdown_lines(results: Sequence[Result]) -> Iterator[str]:
    """Give the table as docs/energy.md has it."""
    yield f"| {' | '.join(HEADINGS)} |"
    yield "|" + "---|" * len(HEADINGS)
    for each in results:
        yield f"| {' | '.join(each.cells())} |"


def assumption_lines(book: Assumptions, chip: str) -> Iterator[str]:
    """Give the assumptions as docs/energy.md has them."""
    yield "| assumption | value | source |"
    yield "|---|---|---|"
    for one in book.all(chip):
        yield f"| `{one.name}` | {one.value:g} {one.unit} | {one.source} |"


def _mah(value: float) -> str:
    return f"{value:.2f}" if value < 100 else f"{value:.0f}"  # noqa: PLR2004 - three digits or so


def _days(days: float) -> str:
    """Write days; beyond two years the model's own error is the larger one."""
    if days < 10:  # noqa: PLR2004 - two digits
        return f"{days:.1f}"
    return f"{days:.0f}" if days < _TWO_YEARS_DAYS else f"> {_TWO_YEARS_DAYS}"
