"""`lilong-gateway nodes [retry EUI ...] --config FILE`: what the nodes run."""

import argparse
import json
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from lilong_gateway.clock import UNIX_2000_MS
from lilong_gateway.config import load_config
from lilong_gateway.downlink.ledger import FAILED, REFUSED
from lilong_gateway.downlink.node_status import NodeStatus, parse_status
from lilong_gateway.downlink.retry import wish
from lilong_gateway.errors import StoreUnavailableError
from lilong_gateway.key_commands import parse_node
from lilong_gateway.store.glance import told_nodes
from lilong_gateway.store.records import Attempt, Told
from lilong_protocol.errors import DecodeError

_DONE, _PARTLY = 0, 2
_STORE = "store.db"
_HEADER = ("node", "firmware", "sequence", "configuration", "last result", "last heard")


def add_node_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments to a parser; it sets act, to call with what was given.

    act returns the exit status; ConfigError, StoreError.
    """
    parser.add_argument("action", nargs="?", default="list", choices=["list", "retry"])
    parser.add_argument("eui", nargs="*", type=parse_node, help="16 hex digits, for retry")
    parser.add_argument("--all", action="store_true", help="retry: every node with a failure")
    parser.add_argument("--json", action="store_true", help="a list of objects, for scripts")
    parser.set_defaults(act=_act, complain=parser.error)


def _act(given: argparse.Namespace) -> int:
    retries = given.action == "retry"
    if retries != bool(given.eui or given.all) or (given.eui and given.all):
        given.complain("name nodes with retry, or --all, and with nothing else")
    data = load_config(given.config).data
    told = told_nodes(data / _STORE)
    if retries:
        return _retry(data, told, given.eui)
    if given.json:
        _say(json.dumps([_as_dict(eui, node) for eui, node in told.items()]))
    else:
        _show([_HEADER, *(_row(eui, node) for eui, node in told.items())])
    return _DONE


def _retry(data: Path, told: Mapping[bytes, Told], euis: list[bytes]) -> int:
    failed = [eui for eui, node in told.items() if _failures(node)]
    chosen = [eui for eui in dict.fromkeys(euis) if eui in failed] if euis else failed
    try:
        for eui in chosen:
            wish(data, eui)
    except OSError as error:
        advice = "run this as the user of the gateway"
        raise StoreUnavailableError(f"{data}: {error.strerror}; {advice}") from error
    refused = [eui for eui in euis if eui not in failed]
    for eui in refused:
        sys.stderr.write(f"{eui.hex()}: nothing was refused or has failed on this node\n")
    what = "1 node" if len(chosen) == 1 else f"{len(chosen)} nodes"
    _say(f"{what} will be offered again what was refused or failed, once the gateway runs")
    return _PARTLY if refused else _DONE


def _failures(node: Told) -> list[Attempt]:
    return [attempt for attempt in node.attempts if attempt.outcome in {REFUSED, FAILED}]


def _row(eui: bytes, node: Told) -> tuple[str, ...]:
    status = _status(node)
    if status is None:
        return (eui.hex(), node.firmware or "-", "-", "-", _result(node, None), _heard(node))
    configuration = f"{status.configuration} ({status.configuration_hash.hex()[:8]})"
    sequence = f"{status.device_class} {status.sequence}"
    sequence += " on trial" if status.trial else ""
    sequence += " in recovery" if status.recovery else ""
    result = _result(node, status)
    return (eui.hex(), node.firmware or "-", sequence, configuration, result, _heard(node))


def _result(node: Told, status: NodeStatus | None) -> str:
    """Say what went wrong last, if it was not put right since; else what the node says."""
    failures = _failures(node)
    if failures and failures[-1] == node.attempts[-1]:
        last = failures[-1]
        return f"{last.what} {last.sequence} {last.outcome}: {last.why}"
    if status is None:
        return "-"
    if not status.result:
        return status.result_words
    return f"update {status.result_sequence} {status.result_words}"


def _heard(node: Told) -> str:
    heard_ms = _heard_ms(node)
    if heard_ms is None:
        return "never, with a clock"
    return f"{datetime.fromtimestamp((heard_ms + UNIX_2000_MS) / 1000, UTC):%Y-%m-%dT%H:%M:%SZ}"


def _heard_ms(node: Told) -> int | None:
    times = [value for value in (node.told_ms, node.heard_ms) if isinstance(value, int)]
    return max(times, default=None)


def _as_dict(eui: bytes, node: Told) -> dict[str, object]:
    status, heard_ms = _status(node), _heard_ms(node)
    return {
        "eui": eui.hex(),
        "firmware": node.firmware,
        "heard_unix_ms": None if heard_ms is None else heard_ms + UNIX_2000_MS,
        "runs": None if status is None else status.as_dict(),
        "attempts": [
            {
                "what": attempt.what,
                "sequence": attempt.sequence,
                "digest": attempt.digest.hex(),
                "outcome": attempt.outcome,
                "why": attempt.why,
                "tries": attempt.tries,
            }
            for attempt in node.attempts
        ],
    }


def _status(node: Told) -> NodeStatus | None:
    try:
        return None if node.status is None else parse_status(node.status)
    except DecodeError:
        return None


def _show(rows: list[tuple[str, ...]]) -> None:
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADER))]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        _say("  ".join(cells).rstrip())


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
