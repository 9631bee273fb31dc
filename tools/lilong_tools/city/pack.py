"""SenML packs (RFC 8428) with the gateway's identity fields, read back exactly.

The only importer of cbor2 in the tools.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import NoReturn

import cbor2

SIZE_LIMIT = 1 << 20
"""Above the 4096 readings of a batch with the longest names, units and numbers in JSON."""
RECORD_LIMIT = 8192
_PLACES = 40
_ABSOLUTE_S = 1 << 28
_YEAR_10000_S = 253_402_300_800
_SHOWN = 60
_LONG_BITS = 256

_LABELS: Mapping[int, str] = {
    -1: "bver",
    -2: "bn",
    -3: "bt",
    -4: "bu",
    -5: "bv",
    -6: "bs",
    0: "n",
    1: "u",
    2: "v",
    3: "vs",
    4: "vb",
    5: "s",
    6: "t",
    7: "ut",
    8: "vd",
}
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


@dataclass(frozen=True, slots=True)
class Pack:
    """One batch as published: whose, which, its position in the gateway's store, its readings."""

    eui: str
    batch: str
    store: str
    position: int
    quality: str
    records: tuple[Record, ...]


def read_pack(payload: bytes) -> Pack:
    """Read a pack in CBOR or JSON, told apart by the first byte; raise PackError."""
    if len(payload) > SIZE_LIMIT:
        raise PackError(f"{len(payload)} bytes, more than {SIZE_LIMIT}")
    entries = _json(payload) if payload.lstrip(_BLANKS)[:1] in _JSON_STARTS else _cbor(payload)
    if not entries or len(entries) > RECORD_LIMIT:
        raise PackError(f"{len(entries)} records; 1 to {RECORD_LIMIT} are expected")
    head = entries[0]
    return Pack(
        eui=_text(head, "bn", _BASE_NAME).group(1),
        batch=_text(head, "batch", _BATCH).group(0),
        store=_text(head, "store", _STORE).group(0),
        position=_position(head),
        quality=_quality(head),
        records=_resolve(entries),
    )


def split_batch(batch: str) -> tuple[int, int, int]:
    """Split `epoch.stream.seq` into its numbers; raise PackError."""
    match = _BATCH.match(batch)
    if match is None:
        raise PackError(f"batch {batch!r} is not epoch.stream.seq")
    return int(match[1], 16), int(match[2]), int(match[3])


def _json(payload: bytes) -> list[dict[str, object]]:
    try:
        entries = json.loads(payload, parse_float=Decimal, parse_constant=_no_constant)
    except (ValueError, RecursionError, InvalidOperation) as error:
        raise PackError(f"not JSON: {error}") from error
    return _records(entries)


def _no_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is not a number")


def _cbor(payload: bytes) -> list[dict[str, object]]:
    try:
        entries = cbor2.loads(payload)
    except cbor2.CBORError as error:
        raise PackError(f"neither JSON nor CBOR: {error}") from error
    return _records(entries)


def _records(entries: object) -> list[dict[str, object]]:
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise PackError("not an array of SenML records")
    return [{_key(key): value for key, value in entry.items()} for entry in entries]


def _key(key: object) -> str:
    if isinstance(key, str):
        return key
    if isinstance(key, int) and key in _LABELS:
        return _LABELS[key]
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


def _position(head: Mapping[str, object]) -> int:
    value = head.get("pos")
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**63:
        raise PackError(f"pos is {_shown(value)}")
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
        base.update({key: value for key, value in entry.items() if key.startswith("b")})
        if "v" in entry or "vb" in entry:
            records.append(_record(base, entry))
    return tuple(records)


def _record(base: Mapping[str, object], entry: Mapping[str, object]) -> Record:
    name, unit = entry.get("n", ""), entry.get("u", base.get("bu", ""))
    if not isinstance(name, str) or not isinstance(unit, str) or not name:
        raise PackError(f"name {_shown(name)}, unit {_shown(unit)}")
    time = _number(base.get("bt", 0)) + _number(entry.get("t", 0))
    if not _ABSOLUTE_S <= time < _YEAR_10000_S:
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
    if not isinstance(exponent, int) or abs(exponent) > _PLACES or number.adjusted() > _PLACES:
        raise PackError(f"{_shown(value)} is not a number of sensible size")
    return number
