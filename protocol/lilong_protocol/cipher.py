"""One direction-aware pair of keys: seals our frames, opens theirs, refuses replays."""

from lilong_protocol import schedule
from lilong_protocol.aead import Aead
from lilong_protocol.errors import AuthenticationError, StateError
from lilong_protocol.frame import HEADER_BYTES, Header
from lilong_protocol.portable import const

NODE_ID = b"\x00"
GATEWAY_ID = b"\x01"
# RFC 8613 leaves the limit to the AEAD; 2**20 frames keep the forgery bound of an 8-byte tag.
FRAME_LIMIT = 1048576
# An 8-byte tag is safe only while forgeries are few (RFC 9147 section 4.5.3 on CCM_8).
FORGERY_LIMIT = 1024
_NEVER = const(-1)


class FrameCipher:
    """Keys of one session seen from one side.

    Counters start at 0 in every session, because both sides' random numbers are in the keys.
    """

    def __init__(
        self, secret: bytes, salt: bytes, id_context: bytes, ours: bytes, theirs: bytes
    ) -> None:
        self._iv = schedule.derive(secret, salt, id_context, b"", "IV", schedule.NONCE_BYTES)
        self._ours = ours
        self._theirs = theirs
        self._sealer = Aead(self._key(secret, salt, id_context, ours))
        self._opener = Aead(self._key(secret, salt, id_context, theirs))
        self.sent = 0
        self.forged = 0
        """Frames whose tag was wrong; a session ends at FORGERY_LIMIT."""
        self._last_received: int = _NEVER

    def seal(
        self, kind: int, plaintext: bytes, stream: int = 0, short_id: int = 0, clear: bytes = b""
    ) -> bytes:
        """Return header, clear bytes, ciphertext and tag; StateError past the limit."""
        if self.sent >= FRAME_LIMIT:
            raise StateError("the session is used up")
        head = Header(kind, self.sent, stream, short_id).pack() + clear
        nonce = schedule.nonce(self._iv, self._ours, self.sent)
        self.sent += 1
        return head + self._sealer.seal(nonce, plaintext, head)

    def open(self, header: Header, frame: bytes, clear_bytes: int = 0) -> bytes:
        """Return their plaintext; AuthenticationError for a forged, repeated or late frame."""
        if header.counter <= self._last_received:
            raise AuthenticationError("a repeated counter")
        start = HEADER_BYTES + clear_bytes
        nonce = schedule.nonce(self._iv, self._theirs, header.counter)
        try:
            plaintext = self._opener.open(nonce, frame[start:], frame[:start])
        except AuthenticationError:
            self.forged += 1
            raise
        if header.counter >= FRAME_LIMIT:
            raise AuthenticationError("a counter past the limit")
        self._last_received = header.counter
        return plaintext

    def _key(self, secret: bytes, salt: bytes, id_context: bytes, identifier: bytes) -> bytes:
        return schedule.derive(secret, salt, id_context, identifier, "Key", schedule.KEY_BYTES)
