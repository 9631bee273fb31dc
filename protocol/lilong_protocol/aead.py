"""AES-CCM-16-64-128 (RFC 3610, RFC 9053 section 4.2): from `cryptolib`, else from `cryptography`.

The only place which knows that the two interpreters have different ciphers.
"""

from lilong_protocol.portable import TYPE_CHECKING

if TYPE_CHECKING:
    from lilong_protocol.aead_cryptography import Aead
else:
    # A node has little memory, and what fails to be imported leaves its names there.
    try:
        from lilong_protocol.aead_cryptolib import Aead
    except ImportError:
        from lilong_protocol.aead_cryptography import Aead

__all__ = ("Aead",)
