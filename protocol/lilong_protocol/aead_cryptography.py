"""AES-CCM from pyca/cryptography, for CPython."""

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESCCM

from lilong_protocol.errors import AuthenticationError


class Aead:
    """AES-CCM with a 13-byte nonce and, unless told otherwise, an 8-byte tag."""

    def __init__(self, key: bytes, tag_bytes: int = 8) -> None:
        self._cipher = AESCCM(key, tag_length=tag_bytes)

    def seal(self, nonce: bytes, plaintext: bytes, aad: bytes) -> bytes:
        """Return ciphertext and tag; the nonce must never have been used with this key."""
        return self._cipher.encrypt(nonce, plaintext, aad)

    def open(self, nonce: bytes, sealed: bytes, aad: bytes) -> bytes:
        """Return the plaintext, or raise AuthenticationError."""
        try:
            return self._cipher.decrypt(nonce, sealed, aad)
        except InvalidTag:
            raise AuthenticationError("the tag does not match")
