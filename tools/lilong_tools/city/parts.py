"""The batches of one message: what is kept of each, and its own bytes.

A pack begins a new batch with each record that names one. A message as gateways write it is cut
where batches begin, and nothing is written anew. One that looks different in any way is read as
RFC 8428 says, base fields that hold on into the next batch included.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lilong_tools.city.outline import Form, Outline, outline_of
from lilong_tools.city.pack import (
    BASE,
    SIZE_LIMIT,
    PackError,
    entries_of,
    from_cbor,
    from_json,
    is_json,
    pack_of,
    place,
    to_cbor,
)

_Entries = list[dict[str, object]]
_OF_8_BITS, _OF_16_BITS, _OF_32_BITS = 0x98, 0x99, 0x9A
_ARRAY, _IN_HEAD = 0x80, 24


@dataclass(frozen=True, slots=True)
class Part:
    """One batch, or what is none: then its problem, and the store and position that it names."""

    payload: bytes
    outline: Outline | None
    problem: str = ""
    place: tuple[str, int] | None = None


class Cutter:
    """Takes messages apart."""

    def __init__(self) -> None:
        self._json = Form(labelled=False)
        self._cbor = Form(labelled=True)
        self._json_start = re.compile(rb'\{"bn":"urn:dev:mac:')
        self._cbor_start = re.compile(rb"[\xa8-\xab]\x21\x78\x1durn:dev:mac:")

    def parts(self, payload: bytes) -> list[Part]:
        """Return the batches of a message; raise PackError when there is no telling them apart."""
        if len(payload) > SIZE_LIMIT:
            raise PackError(f"{len(payload)} bytes, more than {SIZE_LIMIT}")
        try:
            return self._cut(payload) or _read(payload)
        except PackError:
            return _read(payload)

    def _cut(self, payload: bytes) -> list[Part] | None:
        """Return the parts of a message as gateways write it, else None; raise PackError."""
        found = self._cut_json(payload) if is_json(payload) else self._cut_cbor(payload)
        if len(found) == 1:
            return [Part(payload, found[0].outline)] if found[0].outline else None
        return found if all(part.outline for part in found) else None

    def _cut_json(self, payload: bytes) -> list[Part]:
        starts = [match.start() for match in self._json_start.finditer(payload)]
        if starts[:1] != [1] or payload[:1] != b"[" or payload[-1:] != b"]":
            return []
        ends = [start - 1 for start in starts[1:]] + [len(payload) - 1]
        if any(payload[end] != ord(",") for end in ends[:-1]):
            return []
        slices = (b"[%b]" % payload[start:end] for start, end in zip(starts, ends, strict=True))
        return [Part(one, self._json.outline(from_json(one))) for one in slices]

    def _cut_cbor(self, payload: bytes) -> list[Part]:
        starts = [match.start() for match in self._cbor_start.finditer(payload)]
        if not starts or starts[0] > len(_array_head(SIZE_LIMIT)):
            return []
        ends = [*starts[1:], len(payload)]
        found = []
        total = 0
        for start, end in zip(starts, ends, strict=True):
            body = payload[start:end]
            entries = from_cbor(b"\x9f%b\xff" % body)
            total += len(entries)
            found.append(Part(_array_head(len(entries)) + body, self._cbor.outline(entries)))
        return found if payload[: starts[0]] == _array_head(total) else []


def _read(payload: bytes) -> list[Part]:
    entries = entries_of(payload)
    batches = list(_batches(entries))
    if len(batches) == 1:
        return [_part(entries, payload)]
    return [_part(batch, None) for batch in batches]


def _part(entries: _Entries, payload: bytes | None) -> Part:
    written = payload or b""
    try:
        if payload is None:
            written = to_cbor(entries)
        return Part(written, outline_of(pack_of(entries)))
    except PackError as error:
        return Part(written, None, str(error), place(entries[0]) if entries else None)


def _batches(entries: Sequence[dict[str, object]]) -> Iterator[_Entries]:
    """Yield the records of each batch, with the base fields that hold on from the one before."""
    base: dict[str, object] = {}
    batch: _Entries = []
    for entry in entries:
        if "batch" in entry and batch:
            yield batch
            batch = []
        batch.append(entry if batch else base | entry)
        base |= {key: value for key, value in entry.items() if key in BASE}
    yield batch


def _array_head(count: int) -> bytes:
    """Write what stands before the items of an array (RFC 8949 section 3)."""
    if count < _IN_HEAD:
        return bytes((_ARRAY | count,))
    if count < 1 << 8:
        return bytes((_OF_8_BITS, count))
    if count < 1 << 16:
        return bytes((_OF_16_BITS,)) + count.to_bytes(2, "big")
    return bytes((_OF_32_BITS,)) + count.to_bytes(4, "big")
