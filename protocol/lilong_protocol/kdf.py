"""HMAC-SHA256 (RFC 2104) and HKDF-SHA256 (RFC 5869) on hashlib alone.

MicroPython has SHA-256 and neither HMAC nor HKDF, so both are here.
"""

import hashlib

from lilong_protocol.portable import const

_BLOCK_BYTES = const(64)
HASH_BYTES = 32


def sha256(data: bytes) -> bytes:
    """Return the 32-byte SHA-256 of data."""
    return hashlib.sha256(data).digest()


def hmac_sha256(key: bytes, data: bytes) -> bytes:
    """Return the 32-byte HMAC-SHA256 of data (RFC 2104 section 2)."""
    if len(key) > _BLOCK_BYTES:
        key = sha256(key)
    padded = key + bytes(_BLOCK_BYTES - len(key))
    inner = bytes([octet ^ 0x36 for octet in padded])
    outer = bytes([octet ^ 0x5C for octet in padded])
    return sha256(outer + sha256(inner + data))


def hkdf_extract(salt: bytes, secret: bytes) -> bytes:
    """Return the pseudorandom key (RFC 5869 section 2.2); an empty salt is 32 zeros."""
    return hmac_sha256(salt or bytes(HASH_BYTES), secret)


def hkdf_expand(key: bytes, info: bytes, length: int) -> bytes:
    """Return length bytes of output keying material, at most 255 * 32 (RFC 5869 section 2.3)."""
    output = b""
    block = b""
    counter = 1
    while len(output) < length:
        block = hmac_sha256(key, block + info + bytes([counter]))
        output += block
        counter += 1
    return output[:length]


def hkdf(secret: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    """Extract and expand in one step (RFC 5869 section 2)."""
    return hkdf_expand(hkdf_extract(salt, secret), info, length)
