"""`lilong demo`: the whole chain at work, and the proof that nothing was lost on the way."""

import argparse
import asyncio
import json
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from lilong_tools.city.address import Address, parse_address
from lilong_tools.console import FAILED, count, positive_factor, positive_seconds
from lilong_tools.demo.fleet import heap_bytes
from lilong_tools.demo.plan import (
    BLE,
    LINKS,
    NAMED,
    NodePlan,
    driver_nodes,
    over_links,
    playing_s,
    scenario_nodes,
)
from lilong_tools.demo.replay import replay_nodes
from lilong_tools.demo.report import Report
from lilong_tools.demo.screen import Screen
from lilong_tools.demo.show import Show
from lilong_tools.demo.stage import Stage, answers
from lilong_tools.errors import ToolError
from lilong_tools.recording import Recording, scan
from lilong_tools.resolution import parse_resolution
from lilong_tools.runtime import find_micropython
from lilong_tools.vnode import HEAP_KIB
from lilong_tools.vnode.folder import installed_firmware


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `lilong demo`."""
    add = parser.add_argument
    add(
        "--nodes", type=count, metavar="N", help="virtual nodes in all (default: one per scenario)"
    )
    add("--seconds", type=positive_seconds, metavar="S", help="end after S seconds")
    add("--drivers", action="store_true", help="a node for each driver, with a simulated chip")
    add("--replay", nargs="+", type=Path, metavar="FILE", help="play these CSV files, a node each")
    add(
        "--speed",
        type=positive_factor,
        metavar="X",
        help="speed of the recordings (default: the longest ends in 45 s)",
    )
    add(
        "--resolution",
        action="append",
        default=[],
        metavar="[COLUMN=]STEP",
        help="round on purpose, for example to 0.01",
    )
    add("--ble", action="store_true", help="all nodes over virtual BLE: short for --links ble")
    add(
        "--links",
        type=_links,
        metavar="LINK,...",
        help="links of the nodes in turn: ble, serial or both (default: serial)",
    )
    add("--broker", metavar="HOST:PORT", help="a broker of yours (default: an embedded one)")
    add("--format", choices=("json", "cbor"), default="cbor", help="SenML form of the telemetry")
    add(
        "--heap",
        type=count,
        default=HEAP_KIB,
        metavar="KIB",
        help=f"heap of a node in KiB of a 32-bit machine (default: {HEAP_KIB})",
    )
    add("--json", action="store_true", help="print one JSON object at the end, nothing else")
    add("--keep", type=Path, metavar="DIR", help="work in DIR and keep it")


def run(options: argparse.Namespace) -> int:
    """Run the demonstration; exit status 0 only if all that was sampled arrived as it was."""
    recordings = _recordings(options)
    broker = _broker(options.broker)
    plans = _plans(options, recordings)
    micropython = find_micropython()
    folder = _work_folder(options.keep)
    done = False
    try:
        stage = Stage(folder, plans, broker, options.format, micropython, options.heap)
        with Screen(sys.stderr if options.json else sys.stdout) as screen:
            for recording in recordings:
                for remark in recording.remarks():
                    screen.say(remark, "yellow")
            show = Show(stage, screen, options.seconds, playing_s(plans))
            report = asyncio.run(show.run(heap_bytes(micropython, options.heap)))
        done = report.good
        _tell(report, as_json=options.json)
    except KeyboardInterrupt:
        done = True
        raise
    finally:
        _leave(folder, done=done, keep=options.keep is not None)
    return 0 if report.good else FAILED


def _links(text: str) -> list[str]:
    links = text.split(",")
    if not set(links) <= set(LINKS):
        raise argparse.ArgumentTypeError(f"{text} is none of ble, serial and ble,serial")
    return links


def _recordings(options: argparse.Namespace) -> list[Recording]:
    resolution = parse_resolution(options.resolution)
    recordings = [scan(path, resolution) for path in options.replay or ()]
    if options.nodes and recordings:
        raise ToolError(
            "--nodes and --replay exclude each other", "a recording is a node by itself"
        )
    if options.drivers and (options.nodes or recordings):
        raise ToolError(
            "--drivers is neither with --nodes nor with --replay",
            "each driver is a node by itself",
        )
    if options.speed and not recordings:
        raise ToolError("--speed is for --replay", "name a recording, or leave it away")
    known = [name for one in recordings for c in one.columns for name in (c.header, c.name)]
    unknown = resolution.unknown(known)
    if unknown:
        raise ToolError(
            f"--resolution names {unknown[0]!r}, which no recording has",
            f"name one of {', '.join(sorted(set(known))) or 'a recording'}",
        )
    return recordings


def _broker(text: str | None) -> Address | None:
    """Read the address of a broker and make sure that somebody is there."""
    if text is None:
        return None
    address = parse_address(text)
    if not asyncio.run(answers(address)):
        raise ToolError(
            f"no broker answers at {address}",
            "start it, or leave --broker away to have one embedded",
        )
    return address


def _plans(options: argparse.Namespace, recordings: Sequence[Recording]) -> list[NodePlan]:
    """Plan the nodes; those of all links when links were named, else on serial lines."""
    if options.ble and options.links:
        raise ToolError("--ble and --links exclude each other", "leave one of them away")
    links = [BLE] if options.ble else options.links
    plans = _planned(options, recordings)
    return over_links(plans, links) if links else plans


def _planned(options: argparse.Namespace, recordings: Sequence[Recording]) -> list[NodePlan]:
    if recordings:
        return replay_nodes(recordings, options.speed)
    package = installed_firmware().program.parent / "lilong_firmware"
    if options.drivers:
        return driver_nodes(package / "virtual" / "benches")
    tables = package / "scenarios"
    return scenario_nodes(tables, options.nodes or len(NAMED))


def _work_folder(keep: Path | None) -> Path:
    if keep is None:
        return Path(tempfile.mkdtemp(prefix="lilong-demo-"))
    try:
        keep.mkdir(parents=True, exist_ok=True)
        empty = not any(keep.iterdir())
    except OSError as error:
        raise ToolError(
            f"--keep {keep} cannot be used ({error.strerror})", "name a new folder"
        ) from error
    if not empty:
        raise ToolError(f"--keep {keep} is not empty", "name a new folder")
    return keep


def _tell(report: Report, *, as_json: bool) -> None:
    text = json.dumps(report.as_dict()) if as_json else "\n".join(report.sentences())
    try:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise ToolError(
            f"the result cannot be written ({error.strerror})", "make room for the output"
        ) from error


def _leave(folder: Path, *, done: bool, keep: bool) -> None:
    """Remove the work folder, unless it is wanted or tells what went wrong."""
    if keep:
        return
    if done:
        shutil.rmtree(folder, ignore_errors=True)
    else:
        sys.stderr.write(f"lilong: the work folder is kept for a look: {folder}\n")
