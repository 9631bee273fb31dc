"""Runs a NodeSession over BLE: gateways come one at a time, take what there is, and leave."""

import asyncio

from lilong_firmware.ble.visit import Visit
from lilong_protocol.portable import TYPE_CHECKING, const

if TYPE_CHECKING:
    from collections.abc import Callable

    from lilong_firmware.ble.advertiser import Advertiser
    from lilong_firmware.ble.radio import Radio
    from lilong_firmware.clock import Clock
    from lilong_firmware.supervision import Duty
    from lilong_protocol.node_events import Event
    from lilong_protocol.node_session import NodeSession

_LOOK_S = const(1.0)
_PATIENCE_MS = const(5000)
_SHORTEST_MS = const(5)
# A connection interval or so. While all of the stack's memory is filled it refuses to answer.
_FULL_MS = const(30)
_REFUSED_MS = const(200)
_STALL_MS = const(2000)
_GONE_MS = const(5000)
_BROKEN_MS = const(600000)


class Visits:
    """Stands where other nodes have their Link. `wake` is set to make `send` look.

    Each connection is a new session. One that nobody proves to be a gateway's is ended; while
    somebody is there, others are sent away.
    """

    def __init__(
        self,
        radio: "Radio",
        session: "NodeSession",
        clock: "Clock",
        wake: asyncio.Event,
        on_event: "Callable[[Event], None]",
        advertiser: "Advertiser",
    ) -> None:
        self._radio = radio
        self._session = session
        self._clock = clock
        self._wake = wake
        self._on_event = on_event
        self._advertiser = advertiser
        self._visit: Visit | None = None
        self._damaged = 0
        self.sent_bytes = 0
        self.received_bytes = 0
        self.counters = {"stalled": 0, "broken": 0, "visits": 0, "dismissed": 0}

    @property
    def damaged(self) -> int:
        """Pieces that were no part of a whole frame, and writes that found no room."""
        visit = self._visit
        return self._damaged + self._radio.lost + (0 if visit is None else visit.damaged)

    @property
    def idle(self) -> bool:
        """Whether a gateway that is there has everything."""
        return self._visit is None or self._session.idle

    async def receive(self, duty: "Duty") -> None:
        """Take what the radio tells, for ever; silence is progress."""
        while True:
            duty.beat()
            await self._radio.wait(_LOOK_S)
            self._radio.deliver(self)
            self._judge(self._clock.uptime_ms())

    async def send(self, duty: "Duty") -> None:
        """Advertise, and send what the session has due, for ever.

        A radio that refuses everything for ten minutes is no progress.
        """
        self._advertiser.sound_ms = self._clock.uptime_ms()
        while True:
            now_ms = self._clock.uptime_ms()
            if now_ms - self._advertiser.sound_ms < _BROKEN_MS:
                duty.beat()
            wait_ms = self._advertiser.step(now_ms, connected=self._visit is not None)
            await self._rest(min(wait_ms, self._send(now_ms)))

    # What the radio tells

    def connected(self, handle: int) -> None:
        """Begin a visit, or send away the second one."""
        self._advertiser.doubt()
        visit = self._visit
        if visit is not None and visit.handle != handle:
            self._radio.disconnect(handle)
            return
        self._end()
        self.counters["visits"] += 1
        self._visit = Visit(handle, self._clock.uptime_ms())
        self._wake.set()

    def disconnected(self, handle: int) -> None:
        """End the visit, if it is this one."""
        self._advertiser.doubt()
        if self._visit is not None and self._visit.handle == handle:
            self._end()
        self._wake.set()

    def resized(self, handle: int, mtu: int) -> None:
        """Send larger values from now on."""
        if self._visit is not None and self._visit.handle == handle:
            self._visit.resize(mtu)

    def written(self, handle: int, data: bytes) -> None:
        """Feed the session with the frames of the visit."""
        visit = self._visit
        if visit is None or visit.handle != handle:
            self._radio.disconnect(handle)
            return
        if visit.dismissed_ms is not None:
            return
        self.received_bytes += len(data)
        for frame in visit.take(data):
            self._tell(self._session.receive(frame, self._clock.uptime_ms()))
        self._wake.set()

    # What becomes of a visit

    def _judge(self, now_ms: int) -> None:
        """Send strangers away; one whose end is never told is taken for gone."""
        visit = self._visit
        if visit is None:
            return
        if visit.dismissed_ms is not None:
            if now_ms - visit.dismissed_ms >= _GONE_MS:
                self._end()
        elif visit.overstays(self._session, now_ms):
            self.counters["dismissed"] += 1
            visit.dismissed_ms = now_ms
            if not self._radio.disconnect(visit.handle):
                self._end()

    def _end(self) -> None:
        """Forget what was on its way: the session sends it again in the next visit."""
        if self._visit is None:
            return
        self._damaged += self._visit.damaged
        self._visit = None
        self._advertiser.doubt()
        self._session.interrupted(self._clock.uptime_ms())
        self._tell(self._session.events())
        self._wake.set()

    def _send(self, now_ms: int) -> int:
        """Send one value; return the milliseconds until there may be another one."""
        visit = self._visit
        if visit is None or not visit.greeted or visit.dismissed_ms is not None:
            return _PATIENCE_MS
        if now_ms < visit.retry_ms:
            return visit.retry_ms - now_ms
        value = visit.value(self._session, now_ms)
        self._tell(self._session.events())
        if not value:
            return max(_SHORTEST_MS, self._session.due_ms(now_ms))
        sent = self._radio.notify(visit.handle, value)
        if sent:
            self.sent_bytes += visit.sent(now_ms)
            return 0
        if now_ms - visit.moved_ms >= _STALL_MS:
            self.counters["stalled"] += 1
            visit.moved_ms = now_ms
        self.counters["broken"] += sent is None
        wait_ms = _REFUSED_MS if sent is None else _FULL_MS
        visit.retry_ms = now_ms + wait_ms
        return wait_ms

    async def _rest(self, wait_ms: int) -> None:
        if wait_ms <= _SHORTEST_MS:
            await asyncio.sleep(wait_ms / 1000)
            return
        self._wake.clear()
        try:
            await asyncio.wait_for(self._wake.wait(), min(wait_ms, _PATIENCE_MS) / 1000)
        except asyncio.TimeoutError:  # noqa: UP041 - no builtin of MicroPython
            return

    def _tell(self, events: "list[Event]") -> None:
        for event in events:
            self._on_event(event)
