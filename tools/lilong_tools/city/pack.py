"""SenML packs (RFC 8428) with the gateway's identity fields, read back exactly.

The only importer of cbor2 in the tools.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import NamedTuple, NoReturn

import cbor2

SIZE_LIMIT = 1 << 20
"""Above the 4096 readings of a batch with the longest names, units and numbers in JSON."""
RECORD_LIMIT = 8192
PLACES = 40
"""Digits before or after the point of a number of sensible size."""
BASE = frozenset({"bver", "bn", "bt", "bu", "bv", "bs"})
"""The fields that hold on (RFC 8428 section 4.1)."""
ABSOLUTE_S = 1 << 28
"""Times below are relative ones (RFC 8428 section 4.5.3)."""
YEAR_10000_S = 253_402_300_800
_SHOWN = 60
_LONG_BITS = 256

LABELS: Mapping[str, int] = {
    "bver": -1,
    "bn": -2,
    "bt": -3,
    "bu": -4,
    "bv": -5,
    "bs": -6,
    "n": 0,
    "u": 1,
    "v": 2,
    "vs": 3,
    "vb": 4,
    "s": 5,
    "t": 6,
    "ut": 7,
    "vd": 8,
}
"""RFC 8428 section 6."""
_NAMES: Mapping[int, str] = {label: name for name, label in LABELS.items()}
_BASE_NAME = re.compile(r"urn:dev:mac:([0-9a-f]{16}):\Z")
_BATCH = re.compile(r"([0-9a-f]{8})\.([0-3])\.(0|[1-9][0-9]{0,9})\Z")
_STORE = re.compile(r"[0-9a-f]{8}\Z")
_QUALITIES = frozenset({"synced", "restamped", "bounded"})
_BLANKS = b" \t\r\n"
_JSON_STARTS = (b"[", b"{")


class PackError(Exception):
    """A message is not a telemetry pack of ours: count it, keep it aside, go on."""


@dataclass(frozen=True, slots=True)
class Record:
    """One reading: channel name, SenML unit, UNIX time in seconds, value; both exact."""

    name: str
    unit: str
    time: Decimal
    value: Decimal


class Identity(NamedTuple):
    """Which batch it is: whose, which, its position in the gateway's store, how it was dated.

    one_in: it stands for so many of its stream, the others were thinned out; late: it was sent out
    of a backlog.
    """

    eui: str
    batch: str
    store: str
    position: int
    quality: str
    one_in: int = 1
    late: bool = False


@dataclass(frozen=True, slots=True)
class Pack:
    """One batch as published: the fields of its identity, and its readings."""

    eui: str
    batch: str
    store: str
    position: int
    quality: str
    one_in: int
    late: bool
    records: tuple[Record, ...]


def read_pack(payload: bytes) -> Pack:
    """Read a pack of one batch in CBOR or JSON; raise PackError."""
    return pack_of(entries_of(payload))


def entries_of(payload: bytes) -> list[dict[str, object]]:
    """Read the records of a message by the names of their fields; raise PackError.

    JSON and CBOR are told apart by the first byte.
    """
    if len(payload) > SIZE_LIMIT:
        raise PackError(f"{len(payload)} bytes, more than {SIZE_LIMIT}")
    entries = from_json(payload) if is_json(payload) else from_cbor(payload)
    return [{_key(key): value for key, value in entry.items()} for entry in entries]


def pack_of(entries: list[dict[str, object]]) -> Pack:
    """Read the batch that these records are; raise PackError."""
    if not entries or len(entries) > RECORD_LIMIT:
        raise PackError(f"{len(entries)} records; 1 to {RECORD_LIMIT} are expected")
    return Pack(*identity(entries[0]), _resolve(entries))


def identity(head: Mapping[str, object]) -> Identity:
    """Read which batch it is from its first record; raise PackError."""
    return Identity(
        eui=_text(head, "bn", _BASE_NAME).group(1),
        batch=_text(head, "batch", _BATCH).group(0),
        store=_text(head, "store", _STORE).group(0),
        position=_whole(head, "pos", 0),
        quality=_quality(head),
        one_in=_whole(head, "one_in", 1, 1),
        late=_flag(head, "late"),
    )


def place(head: Mapping[str, object]) -> tuple[str, int] | None:
    """Give the store and the position that a batch names, even if nothing else can be read."""
    try:
        return _text(head, "store", _STORE).group(0), _whole(head, "pos", 0)
    except PackError:
        return None


def is_json(payload: bytes) -> bool:
    """Tell by the first byte."""
    return payload.lstrip(_BLANKS)[:1] in _JSON_STARTS


def to_cbor(entries: list[dict[str, object]]) -> bytes:
    """Write records that are given by the names of their fields; raise PackError."""
    labelled = [{LABELS.get(key, key): value for key, value in entry.items()} for entry in entries]
    try:
        return cbor2.dumps(labelled)
    except (cbor2.CBORError, ValueError) as error:
        raise PackError(f"cannot be kept: {ascii(error)[:_SHOWN]}") from error


def split_batch(batch: str) -> tuple[int, int, int]:
    """Split `epoch.stream.seq` into its numbers; raise PackError."""
    match = _BATCH.match(batch)
    if match is None:
        raise PackError(f"batch {batch!r} is not epoch.stream.seq")
    return int(match[1], 16), int(match[2]), int(match[3])


def from_json(payload: bytes) -> list[dict[object, object]]:
    """Read an array of objects, fractions exactly; raise PackError."""
    try:
        entries = json.loads(payload, parse_float=Decimal, parse_constant=_no_constant)
    except (ValueError, RecursionError, InvalidOperation) as error:
        raise PackError(f"not JSON: {error}") from error
    return _records(entries)


def _no_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is not a number")


def from_cbor(payload: bytes) -> list[dict[object, object]]:
    """Read an array of maps; raise PackError."""
    try:
        entries = cbor2.loads(payload)
    except cbor2.CBORError as error:
        raise PackError(f"neither JSON nor CBOR: {error}") from error
    return _records(entries)


def _records(entries: object) -> list[dict[object, object]]:
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise PackError("not an array of SenML records")
    return entries


def _key(key: object) -> str:
    if isinstance(key, str):
        return key
    name = _NAMES.get(key)  # type: ignore[call-overload]
    if isinstance(name, str):
        return name
    raise PackError(f"label {_shown(key)} is not one of RFC 8428")


def _text(head: Mapping[str, object], key: str, form: re.Pattern[str]) -> re.Match[str]:
    value = head.get(key)
    match = form.match(value) if isinstance(value, str) else None
    if match is None:
        raise PackError(f"{key} is {_shown(value)}")
    return match


def _shown(value: object) -> str:
    """Quote a foreign value: in ASCII, of a bounded length."""
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > _LONG_BITS:
        return "a very long number"
    return ascii(value)[:_SHOWN]


def _whole(head: Mapping[str, object], key: str, lowest: int, default: int | None = None) -> int:
    value = head.get(key, default)
    if not isinstance(value, int) or isinstance(value, bool) or not lowest <= value < 2**63:
        raise PackError(f"{key} is {_shown(value)}")
    return value


def _flag(head: Mapping[str, object], key: str) -> bool:
    value = head.get(key, False)
    if not isinstance(value, bool):
        raise PackError(f"{key} is {_shown(value)}")
    return value


def _quality(head: Mapping[str, object]) -> str:
    value = head.get("tq")
    if not isinstance(value, str) or value not in _QUALITIES:
        raise PackError(f"tq is {_shown(value)}")
    return value


def _resolve(entries: list[dict[str, object]]) -> tuple[Record, ...]:
    """Resolve base fields as RFC 8428 section 4.6 says: each holds until it is given again."""
    base: dict[str, object] = {}
    records = []
    for entry in entries:
        base.update({key: value for key, value in entry.items() if key in BASE})
        if "v" in entry or "vb" in entry:
            records.append(_record(base, entry))
    return tuple(records)


def _record(base: Mapping[str, object], entry: Mapping[str, object]) -> Record:
    name, unit = entry.get("n", ""), entry.get("u", base.get("bu", ""))
    if not isinstance(name, str) or not isinstance(unit, str) or not name:
        raise PackError(f"name {_shown(name)}, unit {_shown(unit)}")
    time = _number(base.get("bt", 0)) + _number(entry.get("t", 0))
    if not ABSOLUTE_S <= time < YEAR_10000_S:
        raise PackError(f"{_shown(name)} has no absolute time (RFC 8428 4.5.3), or no date")
    if "vb" in entry:
        return Record(name, unit, time, Decimal(entry["vb"] is True))
    value = _number(entry["v"])
    return Record(name, unit, time, value + _number(base["bv"]) if "bv" in base else value)


def _number(value: object) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise PackError(f"{_shown(value)} is not a number")
    if isinstance(value, int) and value.bit_length() > _LONG_BITS:
        raise PackError("a number of a senseless size")
    number = Decimal(value)
    exponent = number.as_tuple().exponent
    if not isinstance(exponent, int) or abs(exponent) > PLACES or number.adjusted() > PLACES:
        raise PackError(f"{_shown(value)} is not a number of sensible size")
    return number
