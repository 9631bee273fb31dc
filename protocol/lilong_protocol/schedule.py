"""Key schedule and nonce of OSCORE (RFC 8613 sections 3.2 and 5.2), used for our sessions."""

from lilong_protocol.cbor import encode
from lilong_protocol.kdf import hkdf
from lilong_protocol.portable import const

_AES_CCM_16_64_128 = const(10)
KEY_BYTES = 16
NONCE_BYTES = 13


def derive(
    secret: bytes,
    salt: bytes,
    id_context: "bytes | None",
    identifier: bytes,
    label: str,
    length: int,
) -> bytes:
    """Return key material (RFC 8613 section 3.2.1); label is "Key" or "IV"."""
    info = encode([identifier, id_context, _AES_CCM_16_64_128, label, length])
    return hkdf(secret, salt, info, length)


def nonce(common_iv: bytes, identifier: bytes, counter: int) -> bytes:
    """Return the 13-byte nonce of a frame (RFC 8613 section 5.2); an identifier has up to 7."""
    padding = NONCE_BYTES - 6 - len(identifier)
    text = bytes([len(identifier)]) + bytes(padding) + identifier + counter.to_bytes(5, "big")
    return bytes([left ^ right for left, right in zip(common_iv, text)])
