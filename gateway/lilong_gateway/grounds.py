"""What a session stands on: the time and the store that its node was told of, and its key."""

from lilong_gateway.surroundings import Surroundings

_STEP_MS = 2000
"""A wall clock that was set by more than this makes nodes ask for the time again."""

UNKNOWN = "unknown node"
REVOKED = "revoked"
OLD_KEY = "an old key"


class Grounds:
    """Made when a session begins; says later why it may not go on."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._offset_ms = self._wall_offset_ms()
        self._losses = around.store.losses

    def objection(self, eui: bytes | None, key: bytes | None) -> str | None:
        """Return why this node's session under this key is void, None while it is not."""
        if self._around.store.losses != self._losses:
            return "the store was replaced"
        if self._is_clock_set_anew():
            return "the clock was set"
        return None if eui is None or key is None else self._objection_to_key(eui, key)

    def _objection_to_key(self, eui: bytes, key: bytes) -> str | None:
        around = self._around
        if eui in around.keys.revoked:
            return REVOKED
        if key not in around.keys(eui):
            return "its key was withdrawn"
        return OLD_KEY if around.proofs.is_old(eui, key) else None

    def _is_clock_set_anew(self) -> bool:
        now_ms = self._wall_offset_ms()
        if self._offset_ms is None or now_ms is None:
            return self._offset_ms is not now_ms
        return abs(now_ms - self._offset_ms) > _STEP_MS

    def _wall_offset_ms(self) -> int | None:
        clock = self._around.clock
        wall_ms = clock.wall_ms()
        return None if wall_ms is None else wall_ms - clock.steady_ms()
