"""What may leave the building; a class that is not named does not."""

from collections.abc import Iterable

from lilong_gateway.config import Grant
from lilong_protocol.descriptor import Channel


class Privacy:
    """Decides by class, P0 to P3, and by the grants for single nodes."""

    def __init__(self, release: frozenset[int], grants: Iterable[Grant]) -> None:
        self._release = release
        self._granted: dict[bytes, frozenset[int]] = {}
        for grant in grants:
            before = self._granted.get(grant.eui, frozenset())
            self._granted[grant.eui] = before | grant.classes

    def allows(self, eui: bytes, channel: Channel | None) -> bool:
        """Whether this node's channel may go north; a channel nobody described may not."""
        if channel is None:
            return False
        granted = self._granted.get(eui, frozenset())
        return channel.privacy in self._release or channel.privacy in granted
