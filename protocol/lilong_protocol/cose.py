"""COSE_Sign1 (RFC 9052 section 4.2) of one form: EdDSA over Ed25519, the payload inside.

18([h'a10127', {}, payload, signature]); tag 18 may be left out, and the unprotected header may be
{4: key id}. Bytes that differ from it anywhere are refused, however valid they are as COSE.
"""

from lilong_protocol import ed25519
from lilong_protocol.errors import DecodeError, RangeError
from lilong_protocol.kdf import sha256
from lilong_protocol.portable import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

KEY_ID_BYTES = 8
PAYLOAD_LIMIT = 0xFFFF
OVERHEAD_BYTES = 86
"""What pack_sign1 puts around a payload, at most."""

_TAG = b"\xd2"
_ARRAY_AND_PROTECTED = b"\x84\x43\xa1\x01\x27"
_UNPROTECTED_EMPTY = b"\xa0"
_UNPROTECTED_KEY_ID = b"\xa1\x04\x48"
_SIGNATURE_HEAD = b"\x58\x40"
_STRUCTURE = b"\x84\x6aSignature1\x43\xa1\x01\x27\x40"
"""The Sig_structure as far as the payload: its context, the protected header, no other data."""


class Sign1:
    """What a parsed message holds, without a copy of it; nothing of it is verified yet.

    key_id is None when the message names none. It is not signed: a hint, and no more.
    """

    def __init__(
        self, key_id: "bytes | None", signed: memoryview, payload: memoryview, signature: bytes
    ) -> None:
        self.key_id = key_id
        self.payload = payload
        self.signature = signature
        self._signed = signed

    def verify(self, public_key: bytes, step: "Callable[[], object] | None" = None) -> None:
        """Return if the key's owner signed it, else raise AuthenticationError.

        `step` is called while it takes its time (ed25519.verify).
        """
        ed25519.verify(public_key, self.signature, _STRUCTURE + self._signed, step)


def key_id(public_key: bytes) -> bytes:
    """Return the first 8 bytes of SHA-256, by which a message names the key it is signed with."""
    return sha256(public_key)[:KEY_ID_BYTES]


def to_be_signed(payload: bytes) -> bytes:
    """Return the Sig_structure (section 4.4) of which pack_sign1 takes the signature.

    RangeError if the payload is longer than 65535 bytes.
    """
    return _STRUCTURE + _head(len(payload)) + payload


def pack_sign1(payload: bytes, signature: bytes, key_id: "bytes | None" = None) -> bytes:
    """Return the message. RangeError if an argument has the wrong length."""
    if len(signature) != ed25519.SIGNATURE_BYTES:
        raise RangeError("an Ed25519 signature has 64 bytes")
    if key_id is None:
        unprotected = _UNPROTECTED_EMPTY
    elif len(key_id) == KEY_ID_BYTES:
        unprotected = _UNPROTECTED_KEY_ID + key_id
    else:
        raise RangeError("a key id has 8 bytes")
    start = _TAG + _ARRAY_AND_PROTECTED + unprotected
    return start + _head(len(payload)) + payload + _SIGNATURE_HEAD + signature


def parse_sign1(data: bytes) -> Sign1:
    """Return the parts of a message; they keep `data` alive. DecodeError for other bytes."""
    view = memoryview(data)
    at = len(_TAG) if view[:1] == _TAG else 0
    at = _after(view, at, _ARRAY_AND_PROTECTED)
    named = None
    if view[at : at + 1] == _UNPROTECTED_EMPTY:
        at += 1
    else:
        at = _after(view, at, _UNPROTECTED_KEY_ID)
        named = bytes(view[at : at + KEY_ID_BYTES])
        at += KEY_ID_BYTES
    start, end = _payload(view, at)
    signature = _after(view, end, _SIGNATURE_HEAD)
    if len(view) != signature + ed25519.SIGNATURE_BYTES:
        raise DecodeError("cose: the signature has not 64 bytes, or is not the end")
    return Sign1(named, view[at:end], view[start:end], bytes(view[signature:]))


def _head(length: int) -> bytes:
    """Return the head of a byte string in the shortest form (RFC 8949, 4.2.1)."""
    if length > PAYLOAD_LIMIT:
        raise RangeError("cose: a payload of more than 65535 bytes")
    if length < 24:
        return bytes([0x40 | length])
    if length < 0x100:
        return bytes([0x58, length])
    return bytes([0x59, length >> 8, length & 0xFF])


def _after(view: memoryview, at: int, expected: bytes) -> int:
    """Return where the expected bytes end. DecodeError if there are others."""
    end = at + len(expected)
    if view[at:end] != expected:
        raise DecodeError("cose: not a COSE_Sign1 with EdDSA of the form used here, at " + str(at))
    return end


def _payload(view: memoryview, at: int) -> "tuple[int, int]":
    """Return where the payload begins and ends. DecodeError unless its head is the shortest."""
    first = view[at] if at < len(view) else 0
    size = {0x58: 1, 0x59: 2}.get(first, 0)
    start = at + 1 + size
    length = int.from_bytes(view[at + 1 : start], "big") if size else first & 0x1F
    if view[at:start] != _head(length) or start + length > len(view):
        raise DecodeError("cose: the payload is not a byte string of its length, at " + str(at))
    return start, start + length
