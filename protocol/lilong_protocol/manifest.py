"""The manifest of an update: for which nodes it is, when they may take it, what it consists of.

[1, class, sequence, oldest, version, kind, [[name, size, sha256], ...]], signed as in cose.py.

It is read in small pieces where it lies: the heap of a node is full, and full of holes.
"""

from lilong_protocol import cbor, cose
from lilong_protocol.ed25519 import KEY_BYTES
from lilong_protocol.errors import AuthenticationError, DecodeError, RangeError
from lilong_protocol.fields import ranged, text
from lilong_protocol.kdf import HASH_BYTES
from lilong_protocol.portable import TYPE_CHECKING, const

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from lilong_protocol.cbor import Item

FORMAT = 1

APPLICATION = 0
"""Kind: the segments are modules of the application, .mpy files in folders."""
BASE_IMAGE = 1
"""Kind: the one segment is an image for a partition of the chip."""

MANIFEST_LIMIT = 16384
"""Bytes of a signed manifest."""

PAYLOAD_LIMIT = MANIFEST_LIMIT - cose.OVERHEAD_BYTES
SEGMENT_LIMIT = 255
SIZE_LIMIT = 1 << 24
"""Bytes of a segment, which has at least one."""

CLASS_LIMIT = 32
VERSION_LIMIT = 32
NAME_LIMIT = 64
MAX_SEQUENCE = 0xFFFFFFFF

_ARRAY_OF_SEVEN = const(0x87)
_ITEM_BYTES = const(136)
"""No field before the segments, and no segment, is longer."""

_NAME_CHARACTERS = "abcdefghijklmnopqrstuvwxyz0123456789_./-"


class Segment:
    """One file: its name, a relative path below the slot; its size in bytes; its SHA-256."""

    def __init__(self, name: str, size: int, sha256: bytes) -> None:
        self.name = name
        self.size = size
        self.sha256 = sha256


class Segments:
    """The segments of a payload that was checked; each is decoded when it is asked for."""

    def __init__(self, payload: memoryview, starts: bytearray) -> None:
        self._payload = payload
        self._starts = starts

    def __len__(self) -> int:
        return len(self._starts) // 2

    def __iter__(self) -> "Iterator[Segment]":
        for index in range(len(self)):
            yield self[index]

    def __getitem__(self, index: int) -> Segment:
        if not 0 <= index < len(self):
            raise IndexError("no such segment")
        at = self._starts[2 * index] | self._starts[2 * index + 1] << 8
        return _segment(_item(self._payload, at)[0])


class Manifest:
    """One update for the nodes of a class that run a sequence in oldest..sequence-1."""

    def __init__(
        self,
        device_class: str,
        sequence: int,
        oldest: int,
        version: str,
        kind: int,
        segments: "list[Segment] | Segments",
    ) -> None:
        self.device_class = device_class
        self.sequence = sequence
        self.oldest = oldest
        self.version = version
        self.kind = kind
        self.segments = segments

    @property
    def size(self) -> int:
        """Bytes of all segments."""
        total = 0
        for segment in self.segments:
            total += segment.size
        return total


def encode_manifest(manifest: Manifest) -> bytes:
    """Return the payload to be signed. RangeError if a field is wrong or it is too long."""
    data = cbor.encode(
        [
            FORMAT,
            manifest.device_class,
            manifest.sequence,
            manifest.oldest,
            manifest.version,
            manifest.kind,
            [[segment.name, segment.size, segment.sha256] for segment in manifest.segments],
        ]
    )
    try:
        decode_manifest(data)
    except DecodeError as error:
        raise RangeError(str(error))
    return data


def decode_manifest(data: "bytes | memoryview") -> Manifest:
    """Return the manifest of a payload, which it keeps alive. DecodeError for any other bytes.

    The caller has verified them, or shows them as unverified.
    """
    if len(data) > PAYLOAD_LIMIT:
        raise DecodeError(f"manifest: {len(data)} bytes, more than {PAYLOAD_LIMIT}")
    view = memoryview(data)
    if not data or view[0] != _ARRAY_OF_SEVEN:
        raise DecodeError("manifest: not an array of seven fields")
    fields: list[Item] = []
    at = 1
    for _ in range(6):
        field, at = _item(view, at)
        fields.append(field)
    form, device_class, sequence, oldest, version, kind = fields
    if form is True or form != FORMAT:
        raise DecodeError(f"manifest: not of format {FORMAT}, which is all that is known here")
    sequence = ranged(sequence, 1, MAX_SEQUENCE, "sequence")
    return Manifest(
        device_class=_word(device_class, CLASS_LIMIT, "class"),
        sequence=sequence,
        oldest=ranged(oldest, 0, sequence - 1, "oldest sequence"),
        version=_word(version, VERSION_LIMIT, "version"),
        kind=ranged(kind, APPLICATION, BASE_IMAGE, "kind"),
        segments=_segments(view, at, SEGMENT_LIMIT if kind == APPLICATION else 1),
    )


def open_manifest(
    data: bytes, public_keys: "Sequence[bytes]", step: "Callable[[], object] | None" = None
) -> Manifest:
    """Return the manifest in a message that the owner of one of the keys signed; keep it alive.

    DecodeError: no signed manifest. AuthenticationError: signed by nobody that is known here.
    `step` is called while it takes its time (ed25519.verify); it takes longest when a message
    names no key and there are several.
    """
    if len(data) > MANIFEST_LIMIT:
        raise DecodeError(f"manifest: {len(data)} bytes, more than {MANIFEST_LIMIT}")
    message = cose.parse_sign1(data)
    verify_by_any(message, public_keys, step)
    return decode_manifest(message.payload)


def verify_by_any(
    message: cose.Sign1,
    public_keys: "Sequence[bytes]",
    step: "Callable[[], object] | None" = None,
) -> bytes:
    """Return the key that the message is signed with. AuthenticationError if it is none of them.

    Where the message names a key, no other one is tried.
    """
    reason = "signed with a key that is not known here"
    for public_key in public_keys:
        if message.key_id is not None and message.key_id != cose.key_id(public_key):
            continue
        try:
            message.verify(public_key, step)
        except AuthenticationError as error:
            reason = str(error)
        else:
            return public_key
    raise AuthenticationError(f"manifest: {reason}")


def split_public_keys(data: bytes) -> "list[bytes]":
    """Return the keys of a file update.pub: the active one and perhaps one for recovery.

    DecodeError unless it has 32 or 64 bytes.
    """
    if len(data) not in {KEY_BYTES, 2 * KEY_BYTES}:
        raise DecodeError(f"update keys: {len(data)} bytes, where 32 or 64 belong")
    return [data[at : at + KEY_BYTES] for at in range(0, len(data), KEY_BYTES)]


def _word(field: "Item", limit: int, what: str) -> str:
    word = text(field, limit, what)
    if not word:
        raise DecodeError(f"{what} is empty")
    return word


def _item(view: memoryview, at: int) -> "tuple[Item, int]":
    """Return the item at a place and where it ends. DecodeError when it is too long for any."""
    piece = bytes(view[at : at + _ITEM_BYTES])
    item, rest = cbor.decode_first(piece)
    return item, at + len(piece) - len(rest)


def _segments(view: memoryview, at: int, limit: int) -> Segments:
    """Return the segments, which are the rest of the payload."""
    count, at = _count(view, at)
    if not 1 <= count <= limit:
        raise DecodeError(f"manifest: {count} segments, outside 1..{limit}")
    starts = bytearray(2 * count)
    last = ""
    for index in range(count):
        starts[2 * index] = at & 0xFF
        starts[2 * index + 1] = at >> 8
        row, at = _item(view, at)
        name = _segment(row).name
        _check_order(last, name)
        last = name
    if at != len(view):
        raise DecodeError("manifest: bytes after the segments")
    return Segments(view, starts)


def _count(view: memoryview, at: int) -> "tuple[int, int]":
    """Return the length of the array at a place and where its elements begin."""
    head = bytes(view[at : at + 2])
    if head and 0x80 <= head[0] < 0x98:
        return head[0] & 0x1F, at + 1
    if len(head) == 2 and head[0] == 0x98:
        return head[1], at + 2
    raise DecodeError("manifest: the segments are no array, or there are too many")


def _check_order(last: str, name: str) -> None:
    """DecodeError unless name follows, part by part, and does not lie below a file.

    So no name comes twice, and that is seen without a list of all.
    """
    before, now = last.replace("/", "\0"), name.replace("/", "\0")
    if now <= before:
        raise DecodeError(f'manifest: "{name}" is there twice or not in the order of paths')
    if before and now.startswith(before + "\0"):
        raise DecodeError(f'manifest: "{name}" lies below a file')


def _segment(row: "Item") -> Segment:
    if not isinstance(row, list) or len(row) != 3:
        raise DecodeError("manifest: a segment is a list of three fields")
    name, size, digest = row
    if not isinstance(digest, bytes) or len(digest) != HASH_BYTES:
        raise DecodeError("manifest: the SHA-256 of a segment has not 32 bytes")
    return Segment(_name(name), ranged(size, 1, SIZE_LIMIT, "size of a segment"), digest)


def _name(field: "Item") -> str:
    """Return a relative path that leads nowhere but down. DecodeError otherwise."""
    name = text(field, NAME_LIMIT, "name of a segment")
    if any(character not in _NAME_CHARACTERS for character in name):
        raise DecodeError(f'manifest: "{name}" has characters that no name may have')
    # Also "", ".", "..", a slash at either end, and files that are hidden.
    if any(not part or part[0] == "." for part in name.split("/")):
        raise DecodeError(f'manifest: "{name}" is no relative path, or has a hidden part')
    return name
