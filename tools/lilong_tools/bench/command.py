"""`lilong bench`: the wire, the gateway, a node and the radio, beside peers and limits."""

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from lilong_tools.bench.firmware import measure_firmware
from lilong_tools.bench.gateway import figures as gateway_figures
from lilong_tools.bench.node import measure_node
from lilong_tools.bench.node_memory import SCENARIOS, measure_memory
from lilong_tools.bench.wire import SIZES, measure_wire, timed_batches
from lilong_tools.console import FAILED, count, positive_seconds
from lilong_tools.errors import ProgramMissingError
from lilong_tools.recording import scan
from lilong_tools.resolution import parse_resolution
from lilong_tools.runtime import find_micropython, find_micropython32

_DAY_S = 86400
_USUAL = -2
_EVERY_DIGIT = -24
"""Finest powers of ten that are kept."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `lilong bench`."""
    kinds = parser.add_subparsers(dest="kind", required=True, metavar="WHAT")
    for name, told, add in (
        ("wire", "bytes a reading of recordings, beside other formats", _add_wire),
        ("gateway", "load, wear, delays, backlog and idling, beside a peer", _add_gateway),
        ("node", "memory, times, wear and power cuts, on MicroPython", _add_node),
        ("ble", "rounds, alarms, goodput and adverts on the virtual radio", _add_ble),
    ):
        kind = kinds.add_parser(name, help=told)
        add(kind)
        kind.add_argument("--json", action="store_true", help="print one JSON object")


def _add_wire(kind: argparse.ArgumentParser) -> None:
    kind.add_argument("files", nargs="+", type=Path, metavar="FILE", help="CSV recordings")
    kind.add_argument(
        "--resolution",
        action="append",
        default=[],
        metavar="[COLUMN=]STEP",
        help="round first (default: to 0.01 what has more digits, as sensors give no more)",
    )
    kind.add_argument("--exact", action="store_true", help="keep every digit of the files")


def _add_gateway(kind: argparse.ArgumentParser) -> None:
    parts = gateway_figures.PARTS
    kind.add_argument(
        "--part", action="append", choices=parts, help="measure this only; again for more"
    )
    kind.add_argument(
        "--folder", type=Path, help="where the stores are written (default: the temporary folder)"
    )
    for name, told in (
        ("nodes", "sessions that deliver as fast as it goes"),
        ("batches", "batches of each of them"),
        ("readings", "readings a batch"),
        ("trickle", "batches that come one by one"),
        ("sessions", "sessions of the paced load"),
        ("rate", "batches a second of the paced load"),
        ("registered", "nodes that are known while nothing happens"),
        ("replay-nodes", "nodes of the backlog, each with a batch a minute"),
        ("replay-minutes", "minutes of the backlog"),
        ("peer-records", "records that the peer takes"),
    ):
        _add_wish(kind, name, count, "N", told)
    for name, told in (
        ("ack-s", "how long the paced load lasts"),
        ("idle-s", "how long nothing happens"),
        ("replay-s", "how long the backlog may take; what is left then is not waited for"),
    ):
        _add_wish(kind, name, positive_seconds, "S", told)


def _add_wish(
    kind: argparse.ArgumentParser,
    name: str,
    read: Callable[[str], float],
    letter: str,
    told: str,
) -> None:
    """Add an option of a field of Wish, with that field's default."""
    usual = gateway_figures.Wish.__dataclass_fields__[name.replace("-", "_")].default
    kind.add_argument(
        f"--{name}", type=read, default=usual, metavar=letter, help=f"{told} ({usual:g})"
    )


def _add_node(kind: argparse.ArgumentParser) -> None:
    kind.add_argument(
        "--days", type=count, default=7, metavar="N", help="days to simulate for memory (7)"
    )
    kind.add_argument(
        "--scenario",
        action="append",
        choices=SCENARIOS,
        help="what the simulated node measures; again for more (default: bicycle)",
    )


def _add_ble(kind: argparse.ArgumentParser) -> None:
    kind.add_argument("--nodes", type=count, default=100, metavar="N", help="nodes (100)")
    kind.add_argument("--slots", type=count, default=5, metavar="N", help="connections (5)")
    kind.add_argument(
        "--kilobytes", type=count, default=300, metavar="N", help="journal of the one visit (300)"
    )
    kind.add_argument(
        "--seconds",
        type=positive_seconds,
        default=300.0,
        metavar="S",
        help="how long the gateway may take for a round, and for the one visit (300)",
    )
    kind.add_argument(
        "--listen", type=positive_seconds, default=12.0, metavar="S", help="adverts, for S s (12)"
    )


def run(options: argparse.Namespace) -> int:
    """Measure and print."""
    sound = True
    if options.kind == "ble":
        found, lines, sound = _ble(options)
    elif options.kind == "wire":
        found, lines = _wire(options)
    elif options.kind == "gateway":
        found, lines, sound = _gateway(options)
    else:
        micropython = find_micropython32()
        found = measure_firmware(micropython)
        found |= measure_memory(
            micropython, options.days * _DAY_S, options.scenario or SCENARIOS[:1]
        )
        lines = _rows(found)
    sys.stdout.write((json.dumps(found) if options.json else "\n".join(lines)) + "\n")
    return 0 if sound else FAILED


def _ble(options: argparse.Namespace) -> tuple[dict[str, Any], list[str], bool]:
    from lilong_tools.bench.ble import figures  # noqa: PLC0415 - Bumble takes long to import

    wish = figures.Wish(
        options.nodes, options.slots, options.kilobytes, options.seconds, options.listen
    )
    found = figures.measure_ble(wish, find_micropython32())
    return found, list(figures.lines(found)), figures.is_sound(found)


def _gateway(options: argparse.Namespace) -> tuple[dict[str, Any], list[str], bool]:
    fields = gateway_figures.Wish.__dataclass_fields__.keys() - {"parts"}
    chosen = {name: getattr(options, name) for name in fields}
    wish = gateway_figures.Wish(parts=options.part or gateway_figures.PARTS, **chosen)
    found = gateway_figures.measure_gateway(wish)
    return found, list(gateway_figures.lines(found)), gateway_figures.is_sound(found)


def _wire(options: argparse.Namespace) -> tuple[dict[str, Any], list[str]]:
    resolution = parse_resolution(options.resolution, _EVERY_DIGIT if options.exact else _USUAL)
    recordings = [scan(path, resolution) for path in options.files]
    found: dict[str, Any] = dict(measure_wire(recordings))
    found["micropython"] = {}
    for name, find in (("native", find_micropython), ("32-bit", find_micropython32)):
        try:
            figures = measure_node(find(), timed_batches(recordings))
        except ProgramMissingError as error:
            sys.stderr.write(f"lilong: not measured on MicroPython ({name}): {error.problem}\n")
        else:
            found["micropython"][name] = figures
    return found, list(_sentences(found))


def _rows(found: dict[str, Any]) -> list[str]:
    rows = []
    for name, value in found.items():
        values = value if isinstance(value, list) else [value]
        rows.append(f"{name:48}" + "".join(f"{each:>14,.6g}" for each in values))
    return rows


def _sentences(found: dict[str, Any]) -> Iterator[str]:
    yield f"{'bytes a reading':24}" + "".join(f"{f'n={size}':>18}" for size in SIZES)
    for label, payload in found["payload_bytes_per_reading"].items():
        framed = found["frame_bytes_per_reading"][label]
        cells = [f"{payload[str(size)]:7.2f} / {framed[str(size)]:6.2f}" for size in SIZES]
        yield f"{label:24}" + "".join(f"{cell:>18}" for cell in cells)
    yield "(payload / sealed serial frame; mean over the columns)"
    yield f"entropy, order zero      {found['entropy_bytes_per_reading']:.2f} B a reading"
    ratios = ", ".join(f"{name} {ratio:.2f}" for name, ratio in found["encode_ratio"].items())
    yield f"our encode time to that of the others: {ratios}"
    yield f"decode {found['decode_readings_per_s']:,.0f} readings/s of one processor"
    for name, figures in found["micropython"].items():
        yield (
            f"MicroPython {name}: {figures['encode_us_per_reading']:.1f} us a reading,"
            f" {figures['encode_ratio_to_cbor_arrays']:.2f} times plain CBOR arrays"
        )
