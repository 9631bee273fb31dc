"""`lilong energy`: what a node takes from its battery in a day, by scenario."""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace

from lilong_tools.console import count, positive_factor, positive_seconds
from lilong_tools.energy.book import Assumptions, Scenario, read_scenarios
from lilong_tools.energy.power import drivers_folder
from lilong_tools.energy.report import (
    CAUTION,
    Result,
    assumption_lines,
    markdown_lines,
    result,
    text_lines,
)
from lilong_tools.errors import ToolError

CHIP = "esp32s3"
BATTERY_MAH = 2600.0


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `lilong energy`."""
    parser.add_argument("--scenario", type=count, metavar="N", help="only this one (1..27)")
    parser.add_argument(
        "--battery-mah",
        type=positive_factor,
        default=BATTERY_MAH,
        metavar="MAH",
        help=f"rated capacity of the cell ({BATTERY_MAH:g})",
    )
    parser.add_argument(
        "--chip", choices=Assumptions().chips, default=CHIP, help=f"the chip ({CHIP})"
    )
    parser.add_argument(
        "--sample-s", type=positive_seconds, metavar="S", help="another time between two rounds"
    )
    parser.add_argument(
        "--report-s", type=positive_seconds, metavar="S", help="another time between two reports"
    )
    parser.add_argument(
        "--battery", action="store_true", help="what is on the mains is on a battery too"
    )
    parser.add_argument(
        "--switched",
        action="store_true",
        help="what runs always has power only while it is read, from a switch on the board",
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print one JSON object")
    form.add_argument(
        "--markdown", action="store_true", help="print the tables as docs/energy.md has them"
    )


def run(options: argparse.Namespace) -> int:
    """Compute and print."""
    book = Assumptions()
    chip, costs = book.chip(options.chip), book.costs()
    cell = book.cell(options.battery_mah)
    results = [result(scenario, chip, costs, cell) for scenario in _chosen(options)]
    if options.json:
        text = json.dumps(_document(options, results, book), indent=1)
    elif options.markdown:
        tables = *markdown_lines(results), "", *assumption_lines(book, options.chip)
        text = "\n".join(tables)
    else:
        text = "\n".join(text_lines(results, book, options.chip))
    sys.stdout.write(text + "\n")
    return 0


def _document(
    options: argparse.Namespace, results: Sequence[Result], book: Assumptions
) -> dict[str, object]:
    return {
        "measured": False,
        "caution": CAUTION,
        "chip": options.chip,
        "battery_mah": options.battery_mah,
        "scenarios": [each.as_dict() for each in results],
        "assumptions": {
            one.name: {"value": one.value, "unit": one.unit, "source": one.source}
            for one in book.all(options.chip)
        },
    }


def _chosen(options: argparse.Namespace) -> list[Scenario]:
    scenarios = read_scenarios(drivers_folder(), switched=options.switched)
    if options.scenario is not None:
        scenarios = [each for each in scenarios if each.number == options.scenario]
        if not scenarios:
            raise ToolError(f"there is no scenario {options.scenario}", "give 1 to 27")
    return [_changed(each, options) for each in scenarios]


def _changed(scenario: Scenario, options: argparse.Namespace) -> Scenario:
    load = scenario.load
    if options.battery:
        load = replace(load, mains=False)
    if options.sample_s is not None:
        load = replace(load, sample_s=options.sample_s)
    if options.report_s is not None:
        load = replace(load, report_s=options.report_s)
    return replace(scenario, load=load)
