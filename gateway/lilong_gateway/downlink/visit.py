"""What is asked of one node in one session: first what it runs, then to take what it lacks."""

import logging

from lilong_gateway.downlink import push
from lilong_gateway.downlink.downlink import Downlink
from lilong_gateway.downlink.node_status import NodeStatus, parse_status
from lilong_gateway.downlink.push import Push
from lilong_gateway.logs import pairs
from lilong_protocol import request
from lilong_protocol.errors import DecodeError
from lilong_protocol.gateway_session import GatewaySession

_LOOK_MS = 1000
_TRIAL_MS = 30_000
_RESTART_MS = 60_000
"""A node that has applied something restarts, and says HELLO; one that had no need to stays."""

_FIRST_WAIT_MS = 60_000
_LONGEST_WAIT_MS = 3_600_000
_LOG = logging.getLogger(__name__)


class Visit:
    """Ends with the session, and what was sent until then stays with the node.

    Times are those of the steady clock.
    """

    def __init__(self, eui: bytes, firmware: str, downlink: Downlink) -> None:
        self.eui = eui
        self._firmware = firmware
        self._downlink = downlink
        self._plan = downlink.plan
        self._asked = False
        self._mute = False
        """Whether the firmware knows none of these methods."""
        self._again_ms = 0
        self._wait_ms = _FIRST_WAIT_MS
        self._status: NodeStatus | None = None
        self._push: Push | None = None

    @property
    def busy(self) -> bool:
        """Whether it awaits an answer, or pushes something."""
        return self._asked or self._push is not None

    def ask(self, session: GatewaySession, now_ms: int) -> None:
        """Ask the node of this session for what is next, if that is due."""
        if self._asked or self._mute or session.eui != self.eui or now_ms < self._again_ms:
            return
        wanted = self._next(now_ms)
        if wanted is None or not session.request(*wanted):
            return
        self._asked = True
        if self._push is not None and self._push.is_complete:
            self._plan.applying(self.eui, self._push.parcel, now_ms)

    def answered(self, code: int | None, payload: bytes, now_ms: int) -> None:
        """Take the answer to what was asked last; None: there was none."""
        self._asked = False
        if self._push is None:
            self._take_status(code, payload, now_ms)
            return
        before = self._push.written
        self._push.answered(code, payload)
        self._downlink.counters.bytes += self._push.written - before
        self._plan.places.seen(self.eui, now_ms)
        if self._push.outcome is not None:
            self._end(self._push, self._push.outcome, now_ms)

    def close(self) -> None:
        """Note that the session is over."""
        if self._push is not None:
            self._downlink.end(self.eui)

    def _next(self, now_ms: int) -> tuple[int, bytes] | None:
        if self._push is not None and not self._plan.is_offered(self.eui, self._push.parcel):
            self._drop(self._push)
        if self._push is None:
            if self._status is None:
                return request.STATUS, b""
            self._begin(self._status, now_ms)
        return None if self._push is None else self._push.request()

    def _begin(self, status: NodeStatus, now_ms: int) -> None:
        parcel = self._plan.assign(self.eui, status, now_ms)
        if parcel is None:
            self._again_ms = now_ms + _LOOK_MS
            return
        self._push = self._downlink.begin(self.eui, parcel)
        fields = {"eui": self.eui, "sequence": parcel.sequence, "bytes": parcel.size}
        _LOG.info("%s begins %s", parcel.what, pairs(**fields))

    def _drop(self, dropped: Push) -> None:
        _LOG.info("%s withdrawn %s", dropped.parcel.what, pairs(eui=self.eui))
        self._plan.dropped(self.eui, dropped.parcel)
        self._downlink.end(self.eui)
        self._push = None

    def _end(self, ended: Push, outcome: push.Outcome, now_ms: int) -> None:
        self._push = None
        self._downlink.end(self.eui)
        self._plan.ended(self.eui, ended.parcel, outcome)
        if outcome.end == push.REFUSED:
            return
        self._status = None
        fields = {"eui": self.eui, "sequence": ended.parcel.sequence}
        if outcome.end == push.APPLIED:
            self._again_ms = now_ms + _RESTART_MS
            _LOG.info("%s applied %s", ended.parcel.what, pairs(**fields))
        elif outcome.end == push.UNKNOWN:
            self._mute = True
            why = "its firmware does not know the way"
            _LOG.warning("%s not taken %s", ended.parcel.what, pairs(**fields, why=why))
        else:
            _LOG.warning("%s waits %s", ended.parcel.what, pairs(**fields, why=outcome.why))
            self._back_off(now_ms)

    def _take_status(self, code: int | None, payload: bytes, now_ms: int) -> None:
        if code in {request.UNKNOWN, request.REFUSED}:
            self._mute = True
            return
        if code != request.DONE:
            self._back_off(now_ms)
            return
        try:
            self._status = parse_status(payload)
        except DecodeError as error:
            self._mute = True
            _LOG.warning("node not understood %s", pairs(eui=self.eui, status=error))
            return
        self._downlink.heard(self.eui, self._firmware, payload, self._status)
        if self._status.is_trying:
            self._status = None
            self._again_ms = now_ms + _TRIAL_MS

    def _back_off(self, now_ms: int) -> None:
        self._again_ms = now_ms + self._wait_ms
        self._wait_ms = min(2 * self._wait_ms, _LONGEST_WAIT_MS)
