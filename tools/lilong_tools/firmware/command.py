"""`lilong firmware`: compile the firmware for the chips, and say what it takes."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from lilong_tools.errors import ToolError
from lilong_tools.firmware.bundle import BundleFolder
from lilong_tools.firmware.cross import ARCHITECTURES, CrossCompiler, holds_machine_code
from lilong_tools.firmware.sizes import Row, file_system_blocks
from lilong_tools.firmware.source import Module, find_modules
from lilong_tools.firmware.table import account, lines


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `lilong firmware`."""
    parts = parser.add_subparsers(dest="part", required=True, metavar="WHAT")
    build = parts.add_parser("build", help="compile every module, and show its size")
    build.add_argument(
        "--out", type=Path, metavar="FOLDER", required=True, help="empty, new, or a build's"
    )
    build.add_argument(
        "--arch",
        action="append",
        choices=ARCHITECTURES,
        help="processor, more than once for several (default: all)",
    )
    build.add_argument("--source", type=Path, metavar="DIR", help="tree (default: the installed)")
    shown = build.add_mutually_exclusive_group()
    shown.add_argument("--biggest", action="store_true", help="show the biggest modules first")
    shown.add_argument("--json", action="store_true", help="print one JSON object")


def run(options: argparse.Namespace) -> int:
    """Do the part that was asked for."""
    modules = find_modules(options.source)
    compilers = {name: CrossCompiler(name) for name in options.arch or ARCHITECTURES}
    codes = [
        {name: each.compile(module) for name, each in compilers.items()} for module in modules
    ]
    folder = BundleFolder(options.out)
    for module, code in zip(modules, codes, strict=True):
        for name, data in code.items():
            folder.write(name, module.name, data, slot=module.in_slot)
    rows = [_row(module, code) for module, code in zip(modules, codes, strict=True)]
    rooms = file_system_blocks(_boards(modules))
    told = account(rows, rooms)
    folder.finish(told)
    if options.json:
        sys.stdout.write(json.dumps(told) + "\n")
    else:
        sys.stdout.write("\n".join(lines(rows, rooms, biggest=options.biggest)) + "\n")
    return 0


def _row(module: Module, code: dict[str, bytes]) -> Row:
    try:
        size = module.path.stat().st_size
    except OSError as error:
        raise ToolError(f"{module.path} is gone ({error.strerror})", "build again") from error
    return Row(
        module.name.as_posix(),
        in_slot=module.in_slot,
        source_bytes=size,
        mpy_bytes={name: len(data) for name, data in code.items()},
        machine_code=any(holds_machine_code(data) for data in code.values()),
    )


def _boards(modules: Sequence[Module]) -> Path:
    """Give the folder of the boards, which lies beside the modules of the base."""
    return next(module.path for module in modules if not module.in_slot).parent / "boards"
