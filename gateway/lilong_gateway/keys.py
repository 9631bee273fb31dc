"""The nodes' keys: who may speak, under which key, and what changes when the file does."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from lilong_protocol.kdf import hmac_sha256

_ID_BYTES = 8


def key_id(key: bytes) -> bytes:
    """Return 8 bytes that tell a key from others and do not tell the key."""
    return hmac_sha256(key, b"lilong key id")[:_ID_BYTES]


class Change(NamedTuple):
    """How many nodes are served now and were not, are served no longer, have other keys."""

    added: int
    withdrawn: int
    altered: int


class KeyRing:
    """The 16-byte keys of each node by its EUI-64, the oldest first; never shown.

    revoked gives the reason by the EUI-64 of each node that is not served, key or no key.
    """

    def __init__(
        self, keys: Mapping[bytes, Sequence[bytes]], revoked: Mapping[bytes, str] | None = None
    ) -> None:
        self._keys = {eui: tuple(of_node) for eui, of_node in keys.items()}
        self._revoked = dict(revoked or {})
        self.rotating = self._count_rotating()
        """How many nodes that are served have two keys."""

    def __call__(self, eui: bytes) -> tuple[bytes, ...]:
        """Return the keys of a node, () for a stranger or a revoked one."""
        return () if eui in self._revoked else self.held(eui)

    def __len__(self) -> int:
        return len(self._keys)

    def __repr__(self) -> str:
        return f"KeyRing({len(self)} nodes)"

    @property
    def euis(self) -> list[bytes]:
        """Every node that has a key, in the order of the file."""
        return list(self._keys)

    @property
    def revoked(self) -> Mapping[bytes, str]:
        """The nodes that are not served, each with the reason."""
        return self._revoked

    def held(self, eui: bytes) -> tuple[bytes, ...]:
        """Return the keys that stand for a node, even if it is revoked."""
        return self._keys.get(eui, ())

    def is_older(self, eui: bytes, key: bytes, proven: bytes | None) -> bool:
        """Whether a key stands before the one of this id; never if that one is gone."""
        keys = self(eui)
        if key not in keys[:-1]:
            return False
        return proven in [key_id(newer) for newer in keys[keys.index(key) + 1 :]]

    def take(self, other: "KeyRing") -> Change:
        """Hold what another ring holds from now on."""
        before = {eui: self(eui) for eui in self._keys}
        self._keys = {eui: other.held(eui) for eui in other.euis}
        self._revoked = dict(other.revoked)
        self.rotating = other.rotating
        known = before.keys() | self._keys.keys()
        moves = [(before.get(eui, ()), self(eui)) for eui in known]
        return Change(
            sum(not old and bool(new) for old, new in moves),
            sum(bool(old) and not new for old, new in moves),
            sum(bool(old) and bool(new) and old != new for old, new in moves),
        )

    def _count_rotating(self) -> int:
        return sum(len(self(eui)) > 1 for eui in self._keys)
