"""The live table, or plain lines where there is no terminal. The only importer of rich.

A terminal that has gone away is no reason to end otherwise than in order: it is not written to.
"""

from collections.abc import Sequence
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

_ROOMY_NODES = 8
_FRAME_ROWS = 9
_PLAIN_S = 5.0


class Screen:
    """Shows a stage as it goes; use it as a context manager."""

    def __init__(self, stream: TextIO) -> None:
        """Draw on `stream`."""
        self._console = Console(file=stream, highlight=False)
        self._live = Live(console=self._console, auto_refresh=False, transient=False)
        self._next_line_s = 0.0

    def __enter__(self) -> Self:
        if self._console.is_terminal:
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
        if self._console.is_terminal:
            with suppress(OSError):
                self._live.update(self._picture(stage, phase, elapsed_s), refresh=True)
        elif elapsed_s >= self._next_line_s:
            self._next_line_s = elapsed_s + _PLAIN_S
            self.say(f"{elapsed_s:5.0f} s  {_totals(stage)}  ({phase})")

    def _picture(self, stage: Stage, phase: str, elapsed_s: float) -> Group:
        state = Text("  ").join(
            [
                _state("broker", stage.broker if stage.embedded else None, str(stage.address)),
                _state("gateway", stage.gateway, stage.progress.uplink),
                _state("city", stage.city, f"{stage.progress.batches:,} batches"),
            ]
        )
        clock = f"{int(elapsed_s) // 60:02d}:{int(elapsed_s) % 60:02d}"
        foot = Text(_totals(stage), style="bold")
        hint = Text(f"{clock}  {phase}", style="dim")
        return Group(Text(), state, Text(), self._table(stage.progress), foot, hint)

    def _table(self, progress: Progress) -> Table:
        nodes, hidden = self._visible(progress.nodes)
        roomy = len(progress.nodes) <= _ROOMY_NODES
        table = Table(
            box=SIMPLE_HEAD,
            expand=True,
            header_style="bold dim",
            border_style="dim",
            pad_edge=False,
            show_edge=False,
        )
        table.add_column("node", no_wrap=True)
        table.add_column("scenario", no_wrap=True)
        table.add_column("last values", ratio=1, no_wrap=not roomy, overflow="ellipsis")
        for title in ("batches", "waiting", "delivered", "ms"):
            table.add_column(title, justify="right", no_wrap=True)
        for node in nodes:
            table.add_row(*_row(node))
        if hidden:
            table.add_row("...", f"{hidden} more", *[""] * 5, style="dim")
        return table

    def _visible(self, nodes: Sequence[NodeProgress]) -> tuple[Sequence[NodeProgress], int]:
        room = max(1, self._console.height - _FRAME_ROWS)
        if len(nodes) <= max(room, _ROOMY_NODES):
            return nodes, 0
        return nodes[: room - 1], len(nodes) - room + 1


def _row(node: NodeProgress) -> tuple[Text | str, ...]:
    waiting = Text(f"{node.waiting:,}", style="yellow" if node.waiting else "dim")
    latency = node.latency_ms
    return (
        Text(node.plan.eui[-4:], style="cyan"),
        Text(node.plan.title),
        _values(node),
        f"{node.batches:,}",
        waiting,
        Text(f"{node.delivered:,}", style="green"),
        "" if latency is None else f"{latency:,}",
    )


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
