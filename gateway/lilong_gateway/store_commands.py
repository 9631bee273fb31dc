"""`lilong-gateway store check|export|compact|wipe --config FILE`."""

import argparse
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from lilong_gateway.config import Config, load_config
from lilong_gateway.errors import StoreDamagedError, StoreUnavailableError
from lilong_gateway.finding import FAILED, Finding
from lilong_gateway.key_commands import parse_node
from lilong_gateway.progress import Progress
from lilong_gateway.selection import Selection
from lilong_gateway.store.compact import compact
from lilong_gateway.store.inspection import inspect
from lilong_gateway.store.lock import FolderLock, is_held
from lilong_gateway.store.view import View
from lilong_gateway.store.wipe import Wiped, wipe_all, wipe_nodes
from lilong_gateway.store_export import FORMATS, Wanted, export, export_raw

_OK, _OTHER, _PARTLY = 0, 1, 2
_CLASSES = ("P0", "P1", "P2", "P3")
_STORE = "store.db"


def add_store_commands(parser: argparse.ArgumentParser) -> list[argparse.ArgumentParser]:
    """Add the commands to a parser; return theirs. Each sets act, to call with what was given.

    act returns the exit status; ConfigError, StoreError.
    """
    commands = parser.add_subparsers(dest="action", required=True)
    look = commands.add_parser("check", help="look at everything in the store")
    look.add_argument("--json", action="store_true", help="a list of objects, for scripts")
    look.set_defaults(act=_check)
    out = commands.add_parser("export", help="write stored readings as text")
    _add_export_arguments(out)
    shrink = commands.add_parser("compact", help="give unused room back to the disk")
    shrink.set_defaults(act=_compact)
    wipe = commands.add_parser("wipe", help="forget nodes, or everything, for good")
    which = wipe.add_mutually_exclusive_group(required=True)
    which.add_argument("--node", nargs="+", metavar="EUI", type=parse_node, help="16 hex digits")
    which.add_argument("--all", action="store_true", help="the whole store, and what lies by it")
    wipe.add_argument("--yes", action="store_true", help="do it; nothing brings it back")
    wipe.add_argument("--json", action="store_true", help="the report as an object")
    wipe.set_defaults(act=_wipe)
    return [look, out, shrink, wipe]


def _add_export_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--format", choices=FORMATS, default="csv", help="csv, JSON lines, or a SenML-JSON pack")
    add("--raw", action="store_true", help="batches as they came, JSON lines with hex")
    add("--output", type=Path, metavar="FILE", help="a new file (default: standard output)")
    add("--node", nargs="+", default=[], metavar="EUI", type=parse_node, help="only of these")
    add("--channel", nargs="+", default=[], metavar="PATTERN", help="only these, such as temp*")
    add("--from", dest="from_ms", type=_time, metavar="TIME", help="such as 2026-03-01T12:00Z")
    add("--to", dest="to_ms", type=_time, metavar="TIME", help="up to, without it")
    add("--classes", default="P0,P1", type=_classes, help="privacy classes (default: P0,P1)")
    parser.set_defaults(act=_export, complain=parser.error)


def _time(text: str) -> int:
    """Return UNIX milliseconds; a time without a zone is UTC. argparse.ArgumentTypeError."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        problem = f"{text} is no time; write it as 2026-03-01T12:00Z"
        raise argparse.ArgumentTypeError(problem) from None
    return round((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)


def _classes(text: str) -> frozenset[int]:
    names = text.split(",")
    for name in names:
        if name not in _CLASSES:
            problem = f"{name} is no class; name some of {','.join(_CLASSES)}"
            raise argparse.ArgumentTypeError(problem)
    return frozenset(_CLASSES.index(name) for name in names)


def _check(given: argparse.Namespace) -> int:
    config = load_config(given.config)
    findings: list[Finding] = []
    progress = Progress("looking at batches", sys.stderr)
    for finding in _findings(config, progress):
        findings.append(finding)
        if not given.json:
            progress.clear()
            _say(str(finding))
    if given.json:
        _say(json.dumps([asdict(finding) for finding in findings]))
    return _OTHER if any(finding.verdict == FAILED for finding in findings) else _OK


def _findings(config: Config, progress: Progress) -> Iterator[Finding]:
    file = config.data / _STORE
    view = None
    try:
        view = View(file, config.storage.max_bytes)
        yield from inspect(view, [sink.name for sink in config.uplinks], progress)
    except StoreDamagedError as error:
        advice = "restart the gateway: it saves what can be read into a new file"
        yield Finding("store", str(file), FAILED, f"{error}; {advice}")
    finally:
        if view is not None:
            view.close()


def _export(given: argparse.Namespace) -> int:
    whole = given.classes == frozenset(range(len(_CLASSES)))
    if given.raw and not whole:
        given.complain(f"--raw holds all classes; say so with --classes {','.join(_CLASSES)}")
    if given.raw and (given.channel or given.from_ms is not None or given.to_ms is not None):
        given.complain("--raw gives whole batches; leave out --channel, --from and --to")
    config = load_config(given.config)
    chosen = Selection(nodes=frozenset(given.node), channels=tuple(given.channel))
    wanted = Wanted(chosen, given.classes, given.from_ms, given.to_ms)
    view = View(config.data / _STORE, config.storage.max_bytes)
    progress = Progress("exporting", sys.stderr)
    try:
        if given.raw:
            pieces = export_raw(view, wanted, progress)
        else:
            pieces = export(view, wanted, given.format, progress)
        _write(pieces, given.output)
    finally:
        progress.clear()
        view.close()
    return _OK


def _write(pieces: Iterator[str], file: Path | None) -> None:
    if file is None:
        try:
            sys.stdout.writelines(pieces)
            sys.stdout.flush()
        except BrokenPipeError:
            return  # whoever read it has seen enough
        return
    try:
        with file.open("x", encoding="utf-8") as stream:
            stream.writelines(pieces)
    except OSError as error:
        problem = f"{file}: {error.strerror}; name a new file in a folder of yours"
        raise StoreUnavailableError(problem) from error


@contextmanager
def _held(config: Config, what: str) -> Iterator[Path]:
    """Hold the data folder; StoreUnavailableError while a gateway runs, or without a store."""
    file = config.data / _STORE
    if not file.exists():
        raise StoreUnavailableError(f"{file}: there is no store")
    if is_held(config.data):
        raise StoreUnavailableError(f"{config.data}: a gateway runs; stop it, then {what} again")
    lock = FolderLock(config.data)
    try:
        yield file
    finally:
        lock.close()


def _compact(given: argparse.Namespace) -> int:
    config = load_config(given.config)
    with _held(config, "store compact") as file:
        sinks = [sink.name for sink in config.uplinks]
        done = compact(file, config.storage.max_bytes, sinks)
    _say(f"{file}: {done.before} bytes before, {done.after} bytes now")
    return _OK


def _wipe(given: argparse.Namespace) -> int:
    config = load_config(given.config)
    what = "everything" if given.all else f"all about {len(set(given.node))} nodes"
    if not given.yes:
        problem = f"{config.data}: this deletes {what} for good; say --yes to do it"
        raise StoreUnavailableError(problem)
    with _held(config, "store wipe") as file:
        if given.all:
            wiped = wipe_all(file)
        else:
            euis = list(dict.fromkeys(given.node))
            wiped = wipe_nodes(file, config.storage.max_bytes, euis)
    _report(config, what, wiped, as_json=given.json)
    if wiped.found:
        return _OTHER
    return _PARTLY if wiped.unknown else _OK


def _report(config: Config, what: str, wiped: Wiped, *, as_json: bool) -> None:
    at = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    if as_json:
        told = {"gateway": config.id, "site": config.site, "at": at, "wiped": what}
        _say(json.dumps(told | asdict(wiped)))
        return
    _say(f"wiped {what} at {at}, gateway {config.id} of site {config.site}")
    for kind, count in wiped.rows.items():
        _say(f"  {count} {kind}")
    for name in wiped.files:
        _say(f"  file {name}, overwritten and deleted")
    for eui in wiped.unknown:
        _say(f"  {eui}: nothing was held of it")
    for name in wiped.searched:
        _say(f"  searched {name}")
    if wiped.found:
        _say(f"  FOUND again: {wiped.found}; run store compact, then store wipe again")
    else:
        _say("  nothing of it found")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
