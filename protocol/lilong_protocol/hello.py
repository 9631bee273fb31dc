"""The node's half of the handshake: its HELLO, the WELCOME to it, the keys that come of them."""

from lilong_protocol import cbor, kdf
from lilong_protocol.aead import Aead
from lilong_protocol.cipher import GATEWAY_ID, NODE_ID, FrameCipher
from lilong_protocol.errors import DecodeError
from lilong_protocol.fields import is_count
from lilong_protocol.frame import (
    HEADER_BYTES,
    HELLO,
    STREAMS,
    TAG_BYTES,
    VERSION,
    Header,
)
from lilong_protocol.portable import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

RANDOM_BYTES = 8
EUI_BYTES = 8
# After the header: oldest and newest version spoken, EUI-64, the node's random number.
EUI_AT = HEADER_BYTES + 2
RANDOM_AT = EUI_AT + EUI_BYTES
BODY_AT = RANDOM_AT + RANDOM_BYTES
# After the header of a WELCOME: the chosen version and the gateway's random number.
_WELCOME_CLEAR = 1 + RANDOM_BYTES


class Hello:
    """What a node says of itself before there are keys.

    first and next hold, for each of the four streams, the lowest sequence number still held
    and the one the next batch will get; uptime_ms is the moment of sending.
    """

    def __init__(
        self,
        eui: bytes,
        boot_id: int,
        epoch: int,
        uptime_ms: int,
        first: "list[int]",
        next: "list[int]",  # noqa: A002 - the protocol's own word
        descriptor_hash: bytes,
        reset_cause: int = 0,
        firmware: str = "",
    ) -> None:
        self.eui = eui
        self.boot_id = boot_id
        self.epoch = epoch
        self.uptime_ms = uptime_ms
        self.first = first
        self.next = next
        self.descriptor_hash = descriptor_hash
        self.reset_cause = reset_cause
        self.firmware = firmware
        self.frame = b""
        """The frame that this was opened from: the first half of the transcript."""
        self.key = b""
        """The key that it was opened with."""

    def is_outdated_by(self, other: "Hello") -> bool:
        """Whether the other is of the same boot and was said later, or is this one again.

        A boot's uptime never goes back, so that one of these is a replay.
        """
        if self.eui != other.eui or self.boot_id != other.boot_id:
            return False
        return self.uptime_ms < other.uptime_ms or self.frame == other.frame

    def pack(self, key: bytes, random: bytes) -> bytes:
        """Return the frame: everything clear, followed by a tag under the node's HELLO key."""
        counts = (self.boot_id, self.epoch, self.uptime_ms, self.first, self.next)
        body = cbor.encode_sequence(counts)
        body += cbor.encode_sequence((self.descriptor_hash, self.reset_cause, self.firmware))
        head = Header(HELLO).pack() + bytes([VERSION, VERSION]) + self.eui + random
        return head + body + hello_tag(key, random, head + body)


def hello_tag(key: bytes, random: bytes, told: bytes) -> bytes:
    """The tag alone, of an empty plaintext: a repeated random number leaks nothing."""
    hello_key = kdf.hkdf(key, b"", b"lilong hello", 16)
    return Aead(hello_key).seal(random + bytes(5), b"", told)


def is_positions(value: "Any") -> bool:
    """Whether this is a list of four sequence numbers, one for each stream."""
    if type(value) is not list or len(value) != STREAMS:
        return False
    return all(is_count(item, (1 << 32) + 1) for item in value)


def session_cipher(key: bytes, hello: bytes, welcome_head: bytes, *, node: bool) -> FrameCipher:
    """Return the keys of the session that this HELLO frame and this WELCOME's clear head begin.

    Both are hashed into the salt: whoever alters a version or an offer gets frames that do not
    authenticate.
    """
    id_context = hello[RANDOM_AT:BODY_AT] + welcome_head[HEADER_BYTES + 1 :]
    salt = kdf.sha256(hello + welcome_head)
    ours, theirs = (NODE_ID, GATEWAY_ID) if node else (GATEWAY_ID, NODE_ID)
    return FrameCipher(key, salt, id_context, ours, theirs)


def welcome_head(frame: bytes) -> bytes:
    """Return header and clear fields of a WELCOME; DecodeError when it has none."""
    if len(frame) < HEADER_BYTES + _WELCOME_CLEAR + TAG_BYTES:
        raise DecodeError("a short WELCOME")
    if frame[HEADER_BYTES] != VERSION:
        raise DecodeError("a WELCOME of another version")
    return frame[: HEADER_BYTES + _WELCOME_CLEAR]


class Welcome:
    """The gateway's answer: its time, and how much of each stream it holds on disk.

    time_ms is in milliseconds since 2000-01-01T00:00:00Z, None while its clock is not set.
    """

    CLEAR_BYTES = _WELCOME_CLEAR

    def __init__(
        self,
        time_ms: "int | None",
        next: "list[int]",  # noqa: A002 - the protocol's own word
        *,
        descriptor_known: bool,
    ) -> None:
        self.time_ms = time_ms
        self.next = next
        self.descriptor_known = descriptor_known

    def pack(self) -> bytes:
        """Return the plaintext to be sealed."""
        return cbor.encode_sequence([self.time_ms, self.descriptor_known, self.next])


def parse_welcome(plaintext: bytes) -> Welcome:
    """Return the opened WELCOME; DecodeError when its fields are wrong."""
    fields: list[Any] = cbor.decode_sequence(plaintext)
    if len(fields) < 3 or type(fields[1]) is not bool or not is_positions(fields[2]):
        raise DecodeError("a WELCOME with wrong fields")
    if fields[0] is not None and not is_count(fields[0], 1 << 48):
        raise DecodeError("a WELCOME with a wrong time")
    return Welcome(fields[0], fields[2], descriptor_known=fields[1])
