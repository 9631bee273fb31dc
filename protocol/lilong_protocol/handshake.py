"""HELLO and WELCOME: both sides' randomness, the transcript and the keys that come of it.

The gateway's half is here, the node's in hello.py.
"""

from lilong_protocol import cbor, kdf
from lilong_protocol.description import HASH_BYTES
from lilong_protocol.errors import AuthenticationError, DecodeError
from lilong_protocol.fields import is_count, text
from lilong_protocol.frame import HEADER_BYTES, TAG_BYTES, VERSION, WELCOME, Header
from lilong_protocol.hello import (
    BODY_AT,
    EUI_AT,
    EUI_BYTES,
    RANDOM_AT,
    RANDOM_BYTES,
    Hello,
    Welcome,
    hello_tag,
    is_positions,
    parse_welcome,
    session_cipher,
    welcome_head,
)
from lilong_protocol.portable import TYPE_CHECKING, const

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

__all__ = (
    "EUI_BYTES",
    "RANDOM_BYTES",
    "Hello",
    "Welcome",
    "hello_eui",
    "is_positions",
    "open_hello",
    "open_hello_of",
    "parse_welcome",
    "session_cipher",
    "welcome_clear",
    "welcome_head",
    "welcome_header",
)

_FIRMWARE_LIMIT = const(64)


def hello_eui(frame: bytes) -> bytes:
    """Return the EUI-64 a HELLO claims, to look up its key; DecodeError when it is no HELLO."""
    if len(frame) < BODY_AT + TAG_BYTES:
        raise DecodeError("a short HELLO")
    return frame[EUI_AT:RANDOM_AT]


def open_hello(frame: bytes, key: bytes) -> Hello:
    """Return the HELLO once its tag is right.

    AuthenticationError: not sealed under this key. DecodeError: a version we do not speak,
    or fields that do not follow the specification.
    """
    eui = hello_eui(frame)
    head = frame[:-TAG_BYTES]
    expected = hello_tag(key, frame[RANDOM_AT:BODY_AT], head)
    if kdf.hmac_sha256(key, expected) != kdf.hmac_sha256(key, frame[-TAG_BYTES:]):
        raise AuthenticationError("the HELLO tag does not match")
    if not frame[HEADER_BYTES] <= VERSION <= frame[HEADER_BYTES + 1]:
        raise DecodeError("no common version")
    fields: list[Any] = cbor.decode_sequence(head[BODY_AT:])
    if len(fields) < 8:
        raise DecodeError("a HELLO with too few fields")
    hello = _checked_hello(eui, fields)
    hello.frame = frame
    hello.key = key
    return hello


def open_hello_of(frame: bytes, keys: "Sequence[bytes]") -> Hello:
    """Return the HELLO by the first of one or two keys whose tag is right; errors as open_hello.

    Trying needs no mark of the key on the wire, which a node that lost its memory would get wrong.
    """
    for key in keys[:-1]:
        try:
            return open_hello(frame, key)
        except AuthenticationError:
            continue
    return open_hello(frame, keys[-1])


def _checked_hello(eui: bytes, fields: "list[Any]") -> Hello:
    boot_id, epoch, uptime_ms, first, after, descriptor_hash, cause, firmware = fields[:8]
    counts = is_count(boot_id, 1 << 32) and is_count(epoch, 1 << 32)
    counts = counts and is_count(uptime_ms, 1 << 48) and is_count(cause, 256)
    if not counts or not is_positions(first) or not is_positions(after):
        raise DecodeError("a HELLO with a wrong number")
    if any(low > high for low, high in zip(first, after)):
        raise DecodeError("a HELLO that holds less than nothing")
    if type(descriptor_hash) is not bytes or len(descriptor_hash) != HASH_BYTES:
        raise DecodeError("a HELLO with a wrong descriptor hash")
    text(firmware, _FIRMWARE_LIMIT, "the firmware name of a HELLO")
    return Hello(eui, boot_id, epoch, uptime_ms, first, after, descriptor_hash, cause, firmware)


def welcome_clear(random: bytes) -> bytes:
    """Return the clear fields that a WELCOME carries after its header."""
    return bytes([VERSION]) + random


def welcome_header() -> bytes:
    """Return the header that the WELCOME of a new session has: type WELCOME, counter 0."""
    return Header(WELCOME).pack()
