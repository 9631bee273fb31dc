"""The live table, or plain lines where there is no terminal. The only importer of rich.

A terminal that has gone away is no reason to end otherwise than in order: it is not written to.
"""

from contextlib import suppress
from decimal import Decimal
from typing import Self, TextIO

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from lilong_tools.demo.child import Child
from lilong_tools.demo.progress import NodeProgress, Progress
from lilong_tools.demo.stage import Stage

_WIDE_COLUMNS = 110
_FRAME_ROWS = 8
_PLAIN_S = 5.0


class Screen:
    """Shows a stage as it goes; use it as a context manager."""

    def __init__(self, stream: TextIO) -> None:
        """Draw on `stream`."""
        self._console = Console(file=stream, highlight=False)
        self._live = Live(console=self._console, auto_refresh=False, transient=False)
        self._drawing = self._console.is_terminal and not self._console.is_dumb_terminal
        self._next_line_s = 0.0

    def __enter__(self) -> Self:
        if self._drawing:
            with suppress(OSError):
                self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave the last picture standing."""
        with suppress(OSError):
            self._live.stop()

    def say(self, line: str, style: str = "") -> None:
        """Print one line, above the table while it lives."""
        with suppress(OSError):
            self._console.print(Text(line, style=style), soft_wrap=True)

    def show(self, stage: Stage, phase: str, elapsed_s: float) -> None:
        """Draw the present state; without a terminal a line every few seconds."""
        if self._drawing:
            with suppress(OSError):
                self._live.update(self._picture(stage, phase, elapsed_s), refresh=True)
        elif elapsed_s >= self._next_line_s:
            self._next_line_s = elapsed_s + _PLAIN_S
            self.say(f"{elapsed_s:5.0f} s  {_totals(stage)}  ({phase})")

    def _picture(self, stage: Stage, phase: str, elapsed_s: float) -> Group:
        """Draw the nodes with all their values, or a line each where that is too high."""
        roomy = self._drawn(stage, phase, elapsed_s, self._wrapped(stage.progress))
        if len(self._console.render_lines(roomy, pad=False)) < self._console.height:
            return roomy
        return self._drawn(stage, phase, elapsed_s, self._lines(stage.progress))

    def _drawn(self, stage: Stage, phase: str, elapsed_s: float, table: Table) -> Group:
        state = Text("  ", no_wrap=True, overflow="ellipsis").join(
            [
                _state("broker", stage.broker if stage.embedded else None, str(stage.address)),
                _state("gateway", stage.gateway, stage.progress.uplink),
                _state("city", stage.city, f"{stage.progress.batches:,} batches"),
            ]
        )
        clock = f"{int(elapsed_s) // 60:02d}:{int(elapsed_s) % 60:02d}"
        foot = Text(_totals(stage), style="bold", no_wrap=True, overflow="ellipsis")
        hint = Text(f"{clock}  {phase}", style="dim", no_wrap=True, overflow="ellipsis")
        return Group(Text(), state, Text(), table, foot, hint)

    def _wrapped(self, progress: Progress) -> Table:
        table = self._table(no_wrap=False)
        for node in progress.nodes:
            table.add_row(*self._row(node))
        return table

    def _lines(self, progress: Progress) -> Table:
        table = self._table(no_wrap=True)
        room = max(2, self._console.height - _FRAME_ROWS)
        hidden = len(progress.nodes) - room + 1 if len(progress.nodes) > room else 0
        for node in progress.nodes[: len(progress.nodes) - hidden]:
            table.add_row(*self._row(node))
        if hidden:
            table.add_row("...", f"{hidden} more", style="dim")
        return table

    def _table(self, *, no_wrap: bool) -> Table:
        table = Table(
            box=SIMPLE_HEAD,
            expand=True,
            header_style="bold dim",
            border_style="dim",
            pad_edge=False,
            show_edge=False,
        )
        table.add_column("node", no_wrap=True)
        if not self._narrow:
            table.add_column("scenario", no_wrap=True)
        title = "scenario, last values" if self._narrow else "last values"
        table.add_column(title, ratio=1, no_wrap=no_wrap, overflow="ellipsis")
        for title in ("batches", "waiting", "delivered", "ms"):
            table.add_column(title, justify="right", no_wrap=True)
        return table

    def _row(self, node: NodeProgress) -> list[Text | str]:
        """Give the cells; a narrow screen has scenario and values in one."""
        waiting = Text(f"{node.waiting:,}", style="yellow" if node.waiting else "dim")
        latency = node.latency_ms
        title, values = Text(node.plan.title), _values(node)
        return [
            Text(node.plan.eui[-4:], style="cyan"),
            *([Text("  ").join([title, values])] if self._narrow else [title, values]),
            f"{node.batches:,}",
            waiting,
            Text(f"{node.delivered:,}", style="green"),
            "" if latency is None else f"{latency:,}",
        ]

    @property
    def _narrow(self) -> bool:
        return self._console.width < _WIDE_COLUMNS


def _values(node: NodeProgress) -> Text:
    parts = []
    for name, value, ratio_or_unit in node.values():
        unit = "" if ratio_or_unit == "/" else ratio_or_unit
        # Blanks that do not break keep name, value and unit on one line.
        part = Text(f"{name}\u00a0", style="dim")
        part.append(f"{short(value)}\u00a0{unit}".rstrip("\u00a0"), style="bold")
        parts.append(part)
    return Text("  ").join(parts)


def short(value: Decimal) -> str:
    """Write a value for the eye: three decimals at most, a power of ten when it is tiny."""
    exponent = value.as_tuple().exponent
    places = min(3, -exponent) if isinstance(exponent, int) and exponent < 0 else 0
    if value and abs(value) < Decimal("0.001"):
        return f"{value:.1e}"
    return f"{value:.{places}f}"


def _state(name: str, child: Child | None, more: str) -> Text:
    running = child is None or child.running
    text = Text("\u25cf ", style="green" if running else "red")
    text.append(name, style="bold")
    text.append(f" {more if running else 'down'}", style="dim")
    return text


def _totals(stage: Stage) -> str:
    progress = stage.progress
    return (
        f"sampled {progress.sampled:,}   delivered {progress.delivered:,}   "
        f"waiting {progress.waiting:,}   restarts {stage.restarts}"
    )
