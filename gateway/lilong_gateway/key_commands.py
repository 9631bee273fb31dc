"""`lilong-gateway keys list|rotate|tidy|revoke|restore --config FILE`."""

import argparse
import json
import secrets
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from lilong_gateway.config import Config, load_config
from lilong_gateway.key_edit import KeyDraft, changing
from lilong_gateway.key_file import load_keys, parse_eui
from lilong_gateway.key_state import KeyState, is_rotated, key_states
from lilong_gateway.keys import KeyRing
from lilong_gateway.store.glance import heard_nodes

_KEY_BYTES = 16
_DONE, _PARTLY = 0, 2
"""Exit status: as asked, or not for each node that was named."""

_STORE = "store.db"


def add_key_commands(parser: argparse.ArgumentParser) -> list[argparse.ArgumentParser]:
    """Add the commands to a parser; return theirs. Each sets act, to call with what was given.

    act returns the exit status; ConfigError, StoreError.
    """
    commands = parser.add_subparsers(dest="action", required=True)
    look = commands.add_parser("list", help="say how far each node has come with its keys")
    look.add_argument("--json", action="store_true", help="a list of objects, for scripts")
    look.set_defaults(act=_list)
    rotate = commands.add_parser(
        "rotate", help="draw a new key for nodes; they move by themselves"
    )
    which = rotate.add_mutually_exclusive_group(required=True)
    which.add_argument("eui", nargs="*", default=[], type=parse_node, help="16 hex digits")
    which.add_argument("--all", action="store_true", help="every node with one key")
    rotate.set_defaults(act=_rotate)
    tidy = commands.add_parser("tidy", help="remove old keys of nodes that have moved")
    tidy.set_defaults(act=_tidy)
    revoke = commands.add_parser("revoke", help="serve nodes no longer")
    revoke.add_argument("--reason", help="why, for those who read it later (default: the date)")
    revoke.set_defaults(act=_revoke)
    restore = commands.add_parser("restore", help="serve revoked nodes again")
    restore.set_defaults(act=_restore)
    for command in (revoke, restore):
        command.add_argument("eui", nargs="+", type=parse_node, help="16 hex digits")
    return [look, rotate, tidy, revoke, restore]


def parse_node(text: str) -> bytes:
    """Return the EUI-64 of an argument of the command line; argparse.ArgumentTypeError."""
    eui = parse_eui(text)
    if eui is None:
        shown = f"{text[:4]}..." if len(text) > 4 else text  # noqa: PLR2004 - may be a key
        raise argparse.ArgumentTypeError(f"{shown} is no EUI-64; give 16 hex digits")
    return eui


def _list(given: argparse.Namespace) -> int:
    config = load_config(given.config)
    states = key_states(load_keys(config.keys), heard_nodes(config.data / _STORE))
    if given.json:
        _say(json.dumps([asdict(state) for state in states]))
    else:
        for state in states:
            _say(_line(state))
    return _DONE


def _line(state: KeyState) -> str:
    heard = "never heard"
    if state.heard_unix_ms is not None:
        at = datetime.fromtimestamp(state.heard_unix_ms / 1000, UTC)
        heard = f"last batch {at:%Y-%m-%dT%H:%M:%SZ}"
    elif state.heard:
        heard = "heard, no batch with a time"
    line = f"{state.eui}  {state.state:<31}  {heard}"
    return f"{line}  ({state.reason})" if state.reason else line


def _rotate(given: argparse.Namespace) -> int:
    config = load_config(given.config)
    with changing(config.keys) as draft:
        euis = draft.keys.euis if given.all else given.eui
        chosen, refused = _sorted_out(euis, lambda eui: _why_not_rotate(draft.keys, eui))
        for eui in chosen:
            draft.set_keys(eui, (*draft.keys.held(eui), secrets.token_bytes(_KEY_BYTES)))
    if given.all and refused:
        _say(f"{_nodes(len(refused))} with two keys, or revoked, left as before")
    elif refused:
        _complain(config, refused)
    _say(f"{_nodes(len(chosen))} will move to a new key when next talking to a gateway")
    if chosen:
        _say(f"give {config.keys} to all gateways of the site now; one without the new keys")
        _say("refuses the nodes that have moved. Watch with keys list, finish with keys tidy.")
    return _DONE if given.all else _status(refused)


def _why_not_rotate(keys: KeyRing, eui: bytes) -> str | None:
    if not keys.held(eui):
        return "no node of this name has a key"
    if eui in keys.revoked:
        return "is revoked; restore it first"
    if len(keys.held(eui)) > 1:
        return "has two keys already; run keys tidy once it has moved"
    return None


def _tidy(given: argparse.Namespace) -> int:
    config = load_config(given.config)
    heard = heard_nodes(config.data / _STORE)
    with changing(config.keys) as draft:
        keys = draft.keys
        double = [eui for eui in keys.euis if len(keys.held(eui)) > 1]
        moved = [eui for eui in double if is_rotated(keys, eui, heard.get(eui))]
        for eui in moved:
            draft.set_keys(eui, keys.held(eui)[-1:])
    _say(f"the old keys of {_nodes(len(moved))} are removed")
    _say(f"{_nodes(len(double) - len(moved))} still to move, as far as this gateway knows")
    return _DONE


def _revoke(given: argparse.Namespace) -> int:
    reason = given.reason or f"since {datetime.now(UTC):%Y-%m-%d}"

    def apply(draft: KeyDraft, eui: bytes) -> None:
        draft.revoke(eui, reason)

    told = "served no longer, by a gateway that has this file, within seconds"
    return _each(given, _why_not_revoke, apply, told)


def _why_not_revoke(keys: KeyRing, eui: bytes) -> str | None:
    if eui in keys.revoked:
        return "is revoked already"
    return None if keys.held(eui) else "no node of this name has a key; it is not served anyway"


def _restore(given: argparse.Namespace) -> int:
    told = "served again, within seconds, if a key stands in the file"
    return _each(given, _why_not_restore, KeyDraft.restore, told)


def _why_not_restore(keys: KeyRing, eui: bytes) -> str | None:
    return None if eui in keys.revoked else "is not revoked"


def _each(
    given: argparse.Namespace,
    why_not: Callable[[KeyRing, bytes], str | None],
    apply: Callable[[KeyDraft, bytes], None],
    told: str,
) -> int:
    config = load_config(given.config)
    with changing(config.keys) as draft:
        chosen, refused = _sorted_out(given.eui, lambda eui: why_not(draft.keys, eui))
        for eui in chosen:
            apply(draft, eui)
    _complain(config, refused)
    _say(f"{_nodes(len(chosen))} {told}")
    if chosen:
        _say(f"give {config.keys} to every other gateway of the site too")
    return _status(refused)


def _sorted_out(
    euis: Sequence[bytes], why_not: Callable[[bytes], str | None]
) -> tuple[list[bytes], list[tuple[bytes, str]]]:
    """Return the nodes to change, each once, and the others with the reason."""
    chosen: list[bytes] = []
    refused: list[tuple[bytes, str]] = []
    for eui in dict.fromkeys(euis):
        reason = why_not(eui)
        if reason is None:
            chosen.append(eui)
        else:
            refused.append((eui, reason))
    return chosen, refused


def _complain(config: Config, refused: list[tuple[bytes, str]]) -> None:
    for eui, reason in refused:
        sys.stderr.write(f"{Path(config.keys).name}: {eui.hex()}: {reason}\n")


def _status(refused: list[tuple[bytes, str]]) -> int:
    return _PARTLY if refused else _DONE


def _nodes(count: int) -> str:
    return "1 node" if count == 1 else f"{count} nodes"


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
