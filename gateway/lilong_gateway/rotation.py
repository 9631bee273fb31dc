"""Moving nodes to their newest key: when to ask, and what to make of the answer."""

import logging

from lilong_gateway.keys import KeyRing
from lilong_gateway.logs import pairs
from lilong_protocol import request
from lilong_protocol.gateway_session import GatewaySession

_FIRST_WAIT_MS = 4000
_LONGEST_WAIT_MS = 3_600_000
_ANSWERS = {
    request.REFUSED: "refused",
    request.UNKNOWN: "its firmware knows no rotation",
    request.FAILED: "could not save it",
    None: "no answer",
}
_LOG = logging.getLogger(__name__)


class Rotation:
    """Asks the node of one line to take the newest key of its ring, ever more rarely.

    A node that cannot save the key, or cannot prove it, stays on its old one and delivers: each
    time that it is asked costs it flash and a session. Times are those of the steady clock.
    """

    def __init__(self, keys: KeyRing) -> None:
        self._keys = keys
        self._asked: tuple[bytes, bytes] | None = None
        self._again_ms = 0
        self._wait_ms = _FIRST_WAIT_MS
        self._logged: tuple[bytes, str, int] | None = None

    def ask(self, session: GatewaySession, now_ms: int) -> None:
        """Ask the node of this session for the newest key, if that is due."""
        eui = session.eui
        keys = () if eui is None else self._keys(eui)
        if eui is None or not keys or session.key == keys[-1]:
            return
        if self._asked != (eui, keys[-1]):
            self._again_ms, self._wait_ms = now_ms, _FIRST_WAIT_MS
        if now_ms >= self._again_ms and session.request(request.REKEY, keys[-1]):
            self._asked = (eui, keys[-1])
            self._again_ms = now_ms + self._wait_ms
            self._wait_ms = min(2 * self._wait_ms, _LONGEST_WAIT_MS)

    def answered(self, eui: bytes, code: int | None, now_ms: int) -> None:
        """Note what became of it; None: there was no answer. Logged once an hour at most."""
        if code == request.DONE:
            _LOG.info("node has its new key %s", pairs(eui=eui))
            return
        answer = _ANSWERS.get(code, f"code {code}")
        if not self._was_logged(eui, answer, now_ms):
            self._logged = (eui, answer, now_ms)
            _LOG.warning("node keeps its old key %s", pairs(eui=eui, answer=answer))

    def _was_logged(self, eui: bytes, answer: str, now_ms: int) -> bool:
        if self._logged is None or self._logged[:2] != (eui, answer):
            return False
        return now_ms - self._logged[2] < _LONGEST_WAIT_MS
