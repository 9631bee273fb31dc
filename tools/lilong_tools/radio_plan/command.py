"""`lilong radio`: how many nodes a gateway serves over BLE, by its own plan of visits."""

import argparse
import json
import math
import sys

from lilong_tools.console import count, positive_seconds
from lilong_tools.errors import ToolError
from lilong_tools.radio_plan.book import Book
from lilong_tools.radio_plan.figures import capacities
from lilong_tools.radio_plan.report import (
    Plan,
    assumption_lines,
    markdown_lines,
    plan,
    text_lines,
)
from lilong_tools.radio_plan.simulator import Setup

_MOST_NODES = 4096
_MOST_ADAPTERS = 8
_SHORTEST_S = 1
_LONGEST_S = 86_400


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `lilong radio`."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    planning = actions.add_parser("plan", help="how many nodes, how old their reports, how long")
    given = Setup(nodes=100)
    planning.add_argument("--nodes", type=count, default=100, metavar="N", help="nodes (100)")
    planning.add_argument(
        "--slots", type=count, default=given.slots, metavar="S", help="connections an adapter (5)"
    )
    planning.add_argument(
        "--adapters", type=count, default=given.adapters, metavar="A", help="adapters (1)"
    )
    planning.add_argument(
        "--report-s",
        type=positive_seconds,
        default=given.report_s,
        metavar="R",
        help="seconds between two reports of a node (60)",
    )
    planning.add_argument(
        "--visit-every-s",
        type=positive_seconds,
        default=given.visit_every_s,
        metavar="V",
        help="the setting of that name (600)",
    )
    planning.add_argument(
        "--bystanders",
        type=_number,
        default=0,
        metavar="N",
        help="nodes in earshot that other gateways visit (0)",
    )
    planning.add_argument("--passive", action="store_true", help='scan = "passive"')
    planning.add_argument(
        "--assume",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="another value for one of the assumptions that the plan ends with; may be repeated",
    )
    planning.add_argument(
        "--check", action="store_true", help="simulate every row of the capacities: a minute"
    )
    form = planning.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print one JSON object")
    form.add_argument("--markdown", action="store_true", help="the tables as docs/ble.md has them")


def run(options: argparse.Namespace) -> int:
    """Compute, simulate and print."""
    book, setup = Book(_changed(options.assume)), _setup(options)
    if options.markdown:
        served = list(capacities(setup, book, check=options.check))
        text = "\n".join((*markdown_lines(served), "", *assumption_lines(book)))
    else:
        found = plan(setup, book, check=options.check)
        text = json.dumps(found.as_dict(), indent=1) if options.json else _text(found)
    sys.stdout.write(text + "\n")
    return 0


def _text(found: Plan) -> str:
    return "\n".join(text_lines(found))


def _setup(options: argparse.Namespace) -> Setup:
    if options.nodes + options.bystanders > _MOST_NODES:
        raise ToolError(f"more than {_MOST_NODES} nodes", "plan for one gateway at a time")
    if options.adapters > _MOST_ADAPTERS:
        raise ToolError(f"more than {_MOST_ADAPTERS} adapters", "plan for one gateway at a time")
    if not _SHORTEST_S <= options.report_s <= _LONGEST_S:
        raise ToolError("a report every so many seconds?", f"give {_SHORTEST_S} to {_LONGEST_S}")
    return Setup(
        nodes=options.nodes,
        slots=options.slots,
        adapters=options.adapters,
        report_s=options.report_s,
        passive=options.passive,
        visit_every_s=options.visit_every_s,
        bystanders=options.bystanders,
    )


def _changed(words: list[str]) -> dict[str, float]:
    known, changed = Book(), {}
    for word in words:
        name, _, text = word.partition("=")
        if name not in known:
            raise ToolError(f"there is no assumption {name!r}", "`lilong radio plan` lists them")
        least, most = known.limits(name)
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not least <= value <= most:
            raise ToolError(f"{name} cannot be {text!r}", f"give {least:g} to {most:g}")
        changed[name] = value
    return changed


def _number(text: str) -> int:
    return 0 if text == "0" else count(text)
