"""`lilong bench`: what a reading costs on the wire, and what the gateway takes."""

import argparse
import json
import sys
from pathlib import Path

from lilong_tools.bench.gateway import measure_gateway
from lilong_tools.bench.wire import measure_wire
from lilong_tools.console import count
from lilong_tools.recording import scan
from lilong_tools.resolution import parse_resolution

_BATCH = 60


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `lilong bench`."""
    kinds = parser.add_subparsers(dest="kind", required=True, metavar="WHAT")
    wire = kinds.add_parser("wire", help="bytes a reading of recordings, beside SenML-CBOR")
    wire.add_argument("files", nargs="+", type=Path, metavar="FILE", help="CSV recordings")
    wire.add_argument(
        "--resolution", action="append", default=[], metavar="[COLUMN=]STEP", help="round first"
    )
    gateway = kinds.add_parser("gateway", help="batches a second, beside SQLite alone")
    gateway.add_argument("--nodes", type=count, default=64, metavar="N", help="sessions (64)")
    gateway.add_argument(
        "--batches", type=count, default=320, metavar="N", help="batches a node (320)"
    )
    gateway.add_argument(
        "--folder", type=Path, help="where the stores are written (default: the temporary folder)"
    )
    for kind in (wire, gateway):
        kind.add_argument(
            "--readings", type=count, default=_BATCH, metavar="N", help="readings a batch (60)"
        )
        kind.add_argument("--json", action="store_true", help="print one JSON object")


def run(options: argparse.Namespace) -> int:
    """Measure and print."""
    if options.kind == "wire":
        resolution = parse_resolution(options.resolution)
        rows = measure_wire([scan(path, resolution) for path in options.files], options.readings)
        found: dict[str, object] = {"wire": rows}
        lines = [_wire_line(row) for row in rows]
    else:
        figures = measure_gateway(options.nodes, options.batches, options.readings, options.folder)
        found = {"gateway": figures}
        lines = [f"{name:32} {value:>12,.6g}" for name, value in figures.items()]
    sys.stdout.write((json.dumps(found) if options.json else "\n".join(lines)) + "\n")
    return 0


def _wire_line(row: dict[str, object]) -> str:
    return (
        f"{row['file']!s:32} {row['column']!s:16} {row['readings']:>7} readings"
        f"  item {row['item_bytes']:6.3f}  serial frame {row['frame_bytes']:6.3f}"
        f"  SenML-CBOR {row['senml_cbor_bytes']:6.2f} B a reading"
        f"  ratio {row['ratio']:5.2f}"
    )
