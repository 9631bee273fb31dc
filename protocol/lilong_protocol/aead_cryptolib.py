"""AES-CCM (RFC 3610) from the ECB and CBC of MicroPython's cryptolib.

Stock ESP32 images have neither CCM nor CTR. The tag is the last block of one CBC call,
the key stream one ECB call over all counter blocks, and the XOR is done on big integers,
which is native code: three native calls a frame instead of a byte loop.
"""

from cryptolib import aes

from lilong_protocol.errors import AuthenticationError
from lilong_protocol.portable import const

_ECB = const(1)
_CBC = const(2)
_BLOCK = const(16)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % _BLOCK)


def _xor(left: bytes, right: bytes) -> bytes:
    length = len(left)
    value = int.from_bytes(left, "big") ^ int.from_bytes(right[:length], "big")
    return value.to_bytes(length, "big")


def _differ(left: bytes, right: bytes) -> int:
    """Compare in constant time; 0 when equal."""
    difference = len(left) ^ len(right)
    for one, other in zip(left, right):
        difference |= one ^ other
    return difference


class Aead:
    """AES-CCM with a 7 to 13-byte nonce and, unless told otherwise, an 8-byte tag."""

    def __init__(self, key: bytes, tag_bytes: int = 8) -> None:
        self._key = key
        self._tag_bytes = tag_bytes
        self._ecb = aes(key, _ECB)

    def seal(self, nonce: bytes, plaintext: bytes, aad: bytes) -> bytes:
        """Return ciphertext and tag; the nonce must never have been used with this key."""
        stream = self._stream(nonce, len(plaintext))
        tag = _xor(self._mac(nonce, plaintext, aad), stream)
        return _xor(plaintext, stream[_BLOCK:]) + tag

    def open(self, nonce: bytes, sealed: bytes, aad: bytes) -> bytes:
        """Return the plaintext, or raise AuthenticationError."""
        length = len(sealed) - self._tag_bytes
        if length < 0:
            raise AuthenticationError("shorter than a tag")
        stream = self._stream(nonce, length)
        plaintext = _xor(sealed[:length], stream[_BLOCK:])
        if _differ(_xor(self._mac(nonce, plaintext, aad), stream), sealed[length:]):
            raise AuthenticationError("the tag does not match")
        return plaintext

    def _stream(self, nonce: bytes, length: int) -> bytes:
        """Key stream blocks S_0, S_1, ... (RFC 3610 section 2.3)."""
        width = 15 - len(nonce)
        head = bytes([width - 1]) + nonce
        count = 1 + (length + _BLOCK - 1) // _BLOCK
        blocks = b"".join([head + index.to_bytes(width, "big") for index in range(count)])
        return bytes(self._ecb.encrypt(blocks))

    def _mac(self, nonce: bytes, plaintext: bytes, aad: bytes) -> bytes:
        """CBC-MAC over B_0, the additional data and the message (RFC 3610 section 2.2)."""
        width = 15 - len(nonce)
        flags = (0x40 if aad else 0) | (self._tag_bytes - 2) // 2 << 3 | (width - 1)
        blocks = bytes([flags]) + nonce + len(plaintext).to_bytes(width, "big")
        if aad:
            blocks += _padded(len(aad).to_bytes(2, "big") + aad)
        blocks += _padded(plaintext)
        return bytes(aes(self._key, _CBC, bytes(_BLOCK)).encrypt(blocks))[-_BLOCK:][
            : self._tag_bytes
        ]
