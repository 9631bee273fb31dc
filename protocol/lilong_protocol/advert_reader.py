"""The gateway's side of advertisements: who says it, and what it says once that is proven."""

from lilong_protocol.advert import (
    ADVERT,
    ADVERT_BYTES,
    HEAD_BYTES,
    Told,
    advert_aead,
    advert_nonce,
    parse_told,
)
from lilong_protocol.errors import AuthenticationError
from lilong_protocol.frame import VERSION

_EUI_END = 9


def read_advert(data: bytes) -> "tuple[bytes, int] | None":
    """Return EUI and counter, which prove nothing yet; None if this is no advertisement of ours.

    data is what follows the company identifier.
    """
    if len(data) != ADVERT_BYTES or data[0] != VERSION << 5 | ADVERT:
        return None
    return bytes(data[1:_EUI_END]), int.from_bytes(data[_EUI_END:HEAD_BYTES], "big")


class AdvertOpener:
    """Opens the advertisements of one node under one of its keys."""

    def __init__(self, key: bytes) -> None:
        self._aead = advert_aead(key)

    def open(self, data: bytes) -> Told:
        """Return what it tells. AuthenticationError: not sealed under this key, or not ours."""
        read = read_advert(data)
        if read is None:
            raise AuthenticationError("no advertisement of a node")
        nonce = advert_nonce(*read)
        return parse_told(self._aead.open(nonce, data[HEAD_BYTES:], data[:HEAD_BYTES]))
