"""`lilong-gateway run|check|keys|nodes|store --config FILE`: 0 done, 2 input, 1 any other end."""

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from lilong_gateway.app import Gateway
from lilong_gateway.check import check
from lilong_gateway.clock import Clock
from lilong_gateway.config import Config, load_config
from lilong_gateway.errors import ConfigError, GatewayError
from lilong_gateway.finding import FAILED, Finding
from lilong_gateway.health.notify import Notifier
from lilong_gateway.key_commands import add_key_commands
from lilong_gateway.key_file import load_keys
from lilong_gateway.keys import KeyRing
from lilong_gateway.logs import start_logging
from lilong_gateway.node_commands import add_node_arguments
from lilong_gateway.store_commands import add_store_commands

if TYPE_CHECKING:
    from lilong_gateway.radio.ear import Recover

_SWITCH_S = 0.0005
"""How long the store's thread waits for the interpreter while a backlog is being encoded."""

EXIT_OK = 0
EXIT_OTHER = 1
EXIT_CONFIGURATION = 2


def main(arguments: Sequence[str] | None = None, recover: "Recover | None" = None) -> int:
    """Run the command line; return the exit status. recover: as of Gateway."""
    given = _parser().parse_args(arguments)
    if given.command == "check":
        return _check(given.config, as_json=given.json)
    if given.command in {"keys", "nodes", "store"}:
        return _reported(lambda: int(given.act(given)))
    return _reported(lambda: _run(given.config, recover))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="lilong-gateway", description="The edge gateway of a Lilong sensor mesh."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="serve nodes until SIGTERM or SIGINT")
    look = commands.add_parser("check", help="say whether everything is there that a run needs")
    look.add_argument("--json", action="store_true", help="findings as JSON, for scripts")
    keys = commands.add_parser("keys", help="see, rotate and revoke the keys of nodes")
    nodes = commands.add_parser("nodes", help="see what nodes run, and try again what failed")
    add_node_arguments(nodes)
    store = commands.add_parser("store", help="look at, export, compact or wipe what is stored")
    for command in (run, look, nodes, *add_key_commands(keys), *add_store_commands(store)):
        command.add_argument(
            "--config", type=Path, required=True, metavar="FILE", help="the TOML settings"
        )
    return parser


def _run(file: Path, recover: "Recover | None") -> int:
    config = load_config(file)
    keys = load_keys(config.keys)
    start_logging(config.log_level, config.log_format)
    sys.setswitchinterval(_SWITCH_S)
    asyncio.run(_serve(config, keys, recover))
    return EXIT_OK


def _reported(command: Callable[[], int]) -> int:
    """Return the exit status of a command; an error is one line."""
    try:
        return command()
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_CONFIGURATION
    except GatewayError as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_OTHER


async def _serve(config: Config, keys: KeyRing, recover: "Recover | None") -> None:
    notifier = Notifier.from_environment(os.environ)
    await Gateway(config, keys, Clock(), recover, notifier=notifier).run()


def _check(file: Path, *, as_json: bool) -> int:
    findings: list[Finding] = []
    for finding in check(file):
        findings.append(finding)
        if not as_json:
            sys.stdout.write(f"{finding}\n")
            sys.stdout.flush()
    if as_json:
        sys.stdout.write(json.dumps([asdict(finding) for finding in findings]) + "\n")
    failed = [finding for finding in findings if finding.verdict == FAILED]
    if any(finding.configuration for finding in failed):
        return EXIT_CONFIGURATION
    return EXIT_OTHER if failed else EXIT_OK


if __name__ == "__main__":
    sys.exit(main())
