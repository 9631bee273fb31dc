"""Which key each node has shown to be its own: an older one is no longer answered."""

from lilong_gateway.keys import KeyRing, key_id


class Proofs:
    """The id of the key under which each node was described last, on whatever line.

    A node makes a key its current one before it describes itself under it, and never goes back:
    whoever comes with an older key is not that node. If the proven key was taken out of the ring
    on purpose, every key that stands there is good.
    """

    def __init__(self, keys: KeyRing) -> None:
        self._keys = keys
        self._proven: dict[bytes, bytes] = {}

    def recall(self, eui: bytes, proven: bytes | None) -> None:
        """Take over what the store knows; what this run has seen is later."""
        if proven is not None:
            self._proven.setdefault(eui, proven)

    def note(self, eui: bytes, key: bytes) -> None:
        """Note that a node was described under this key."""
        self._proven[eui] = key_id(key)

    def is_old(self, eui: bytes, key: bytes) -> bool:
        """Whether the node has moved on from this key."""
        return self._keys.is_older(eui, key, self._proven.get(eui))

    def is_current(self, eui: bytes) -> bool:
        """Whether the newest key of a node is the one that was proven."""
        keys = self._keys(eui)
        return bool(keys) and key_id(keys[-1]) == self._proven.get(eui)
