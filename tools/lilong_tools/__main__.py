"""`lilong <command>`."""

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from typing import Protocol, cast

from lilong_tools.console import FAILED, INTERRUPTED, prepare_output, report
from lilong_tools.errors import ToolError

_COMMANDS = {
    "demo": ("lilong_tools.demo.command", "show the whole chain at work, from nodes to city"),
    "city": ("lilong_tools.city.command", "receive telemetry as a city platform should"),
    "bench": ("lilong_tools.bench.command", "measure wire, gateway, node and radio beside peers"),
    "drivers": ("lilong_tools.drivers.command", "tell which sensors a node can read"),
    "energy": ("lilong_tools.energy.command", "tell what a node takes from its battery"),
    "radio": ("lilong_tools.radio_plan.command", "tell how many nodes a gateway serves over BLE"),
    "firmware": ("lilong_tools.firmware.command", "compile the firmware and show its size"),
    "update": ("lilong_tools.update.command", "make, sign and check updates of the nodes"),
}


class Command(Protocol):
    """What the module of a command offers."""

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Add the command's options."""

    def run(self, options: argparse.Namespace) -> int:
        """Do it; give the exit status; raise ToolError."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; give the exit status. A command is imported only when it is asked for."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(prog="lilong", description="Tools of the Lilong sensor mesh.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (_, purpose) in _COMMANDS.items():
        commands.add_parser(name, help=purpose, add_help=False)
    name = parser.parse_args(words[:1]).command
    prepare_output()
    try:
        command = cast("Command", importlib.import_module(_COMMANDS[name][0]))
        return command.run(command_parser(name, command).parse_args(words[1:]))
    except ToolError as error:
        return report(error)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Nobody reads any more; Python would complain again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED


def command_parser(name: str, command: Command) -> argparse.ArgumentParser:
    """Give the parser of one command's own words."""
    purpose = _sentence(_COMMANDS[name][1])
    parser = argparse.ArgumentParser(prog=f"lilong {name}", description=purpose)
    command.configure(parser)
    return parser


def _sentence(purpose: str) -> str:
    return purpose[0].upper() + purpose[1:] + "."


if __name__ == "__main__":
    sys.exit(main())
