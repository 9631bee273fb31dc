"""The two key slots of a node: the key in force, and the one that is to follow it."""

from lilong_protocol.portable import TYPE_CHECKING, const

if TYPE_CHECKING:
    from collections.abc import Callable

KEY_BYTES = const(16)


def _in_memory(_current: bytes, _next: "bytes | None") -> bool:
    """Save nothing: for nodes that may forget."""
    return True


class NodeKeys:
    """A key becomes the next one when the gateway says so, and the current one when it is proven.

    `save(current, next)` makes both durable at once and returns whether it did. A slot changes
    only after that, so that a power cut finds either the old or the new pair.
    """

    def __init__(
        self,
        current: bytes,
        next: "bytes | None" = None,  # noqa: A002 - the protocol's own word
        save: "Callable[[bytes, bytes | None], bool]" = _in_memory,
    ) -> None:
        self.current = current
        self.next = next
        self._save = save

    def stage(self, key: bytes) -> bool:
        """Keep a key as the next one; the current one clears the slot. False: not saved."""
        following = None if key == self.current else key
        if following == self.next:
            return True
        if not self._save(self.current, following):
            return False
        self.next = following
        return True

    def proven(self, key: bytes) -> bool:
        """Note that a gateway has shown that it holds this key; False when that was not saved.

        If it is the next one it takes the place of the current one, which is forgotten.
        """
        if key == self.current:
            return True
        if key != self.next or not self._save(key, None):
            return False
        self.current = key
        self.next = None
        return True
