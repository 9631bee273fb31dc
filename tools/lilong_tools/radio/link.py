"""One connection on the virtual air: data moves in its connection events and at no other time.

Core 5.4, Vol 6, Part B, 4.5. An event costs nothing while nothing waits to be sent.
"""

import asyncio
import math
import struct
from typing import TYPE_CHECKING

from bumble import hci, ll

from lilong_tools.radio.connection import FIRST, RadioConnection
from lilong_tools.radio.model import GUARD_US

if TYPE_CHECKING:
    from lilong_tools.radio.air import Air

_BEHIND_EVENTS = 4
"""A loop that was late makes up for so many connection events, and forgets the others."""
_ESTABLISHING_EVENTS = 6
_ATT_CHANNEL = 4
_EXCHANGE_MTU = (2, 3)
_MTU_PDU = struct.Struct("<HHBH")
UNIT_MS = 1.25
TIMEOUT_UNIT_S = 0.01


class RadioLink:
    """A connection of two controllers; `events`, `lost_events` and `packets` count what it did."""

    def __init__(self, air: "Air", ends: tuple[RadioConnection, RadioConnection]) -> None:
        """Join the ends, central first; `set_timing` comes before anything is sent."""
        self.ends = ends
        self.events = 0
        self.lost_events = 0
        self.packets = [0, 0]
        self.silent = False
        self.interval_s = air.model.interval_ms / 1000
        self.timeout_s = 1.0
        self._air = air
        self._loop = asyncio.get_running_loop()
        self._anchor_s = 0.0
        self._lost_in_a_row = 0
        self._timer: asyncio.TimerHandle | None = None
        self._end: asyncio.TimerHandle | None = None
        for end in ends:
            end.radio_link = self

    @property
    def active(self) -> bool:
        """Whether something waits to be sent."""
        return any(end.waiting_octets(1) for end in self.ends)

    def set_timing(self, interval: int, timeout: int) -> None:
        """Set interval (1.25 ms) and supervision timeout (10 ms); events start anew."""
        self.interval_s = interval * UNIT_MS / 1000
        self.timeout_s = timeout * TIMEOUT_UNIT_S
        early = self._air.chance.uniform(UNIT_MS / 1000, self.interval_s)
        self._anchor_s = self._loop.time() + early

    def wake(self) -> None:
        """Have something to send at the next connection event."""
        if self._timer is None and not self.silent:
            now = self._loop.time()
            past = max(0, math.floor((now - self._anchor_s) / self.interval_s) + 1)
            self._at(self._anchor_s + past * self.interval_s)

    def silence(self, *, unheard: bool = False) -> None:
        """Let nothing through any more; the ends notice by their supervision timeout.

        An `unheard` link is one whose first packet never came: that is noticed sooner.
        """
        if self.silent:
            return
        self.silent = True
        self._stop()
        wait_s = _ESTABLISHING_EVENTS * self.interval_s if unheard else self.timeout_s
        errors = hci.HCI_ErrorCode
        reason = (
            errors.CONNECTION_FAILED_TO_BE_ESTABLISHED_ERROR
            if unheard
            else errors.CONNECTION_TIMEOUT_ERROR
        )
        self._end = self._loop.call_later(wait_s, self.close, reason, reason)

    def abandon(self, end: RadioConnection) -> None:
        """Take the end of a controller that was reset away, without a word to the other."""
        end.gone = True
        if all(each.gone for each in self.ends):
            self.close(0, 0)
        else:
            self.silence()

    def close(self, central_reason: int, peripheral_reason: int) -> None:
        """End the link; each host that is still there learns why."""
        self.silent = True
        self._stop()
        if self._end is not None:
            self._end.cancel()
        self._air.links.discard(self)
        for end, reason in zip(self.ends, (central_reason, peripheral_reason), strict=True):
            if not end.gone:
                end.gone = True
                end.radio.on_le_disconnected(end, reason)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _at(self, when_s: float) -> None:
        self._timer = self._loop.call_at(when_s, self._event, when_s)

    def _event(self, when_s: float) -> None:
        now = self._loop.time()
        self._timer = None
        if self._air.chance.random() < self._air.model.event_loss:
            self.lost_events += 1
            self._lost_in_a_row += 1
            if self._lost_in_a_row * self.interval_s > self.timeout_s:
                reason = hci.HCI_ErrorCode.CONNECTION_TIMEOUT_ERROR
                self.close(reason, reason)
                return
        else:
            self._lost_in_a_row = 0
            self._fill_event(now)
        if self.active and not self.silent:
            behind_s = now - _BEHIND_EVENTS * self.interval_s
            self._at(max(when_s, behind_s) + self.interval_s)

    def _fill_event(self, now: float) -> None:
        self.events += 1
        model = self._air.model
        free_us = self._free_us()
        spent_us = 0
        for _ in range(model.packets_per_event):
            sizes = [end.waiting_octets(model.data_length) for end in self.ends]
            cost_us = model.exchange_us(*sizes)
            if not any(sizes) or (spent_us and spent_us + cost_us > free_us):
                break
            spent_us += cost_us
            self._exchange(sizes)
            if self.silent:
                break
        for end in self.ends:
            end.settle()
            end.radio.busy_until_s = max(now, end.radio.busy_until_s) + spent_us / 1e6

    def _free_us(self) -> float:
        """Return the time that this event may fill: radios divide theirs among busy links.

        One that listens for advertisements as well keeps a part of its time for that.
        """
        sharing = max(1, *(end.radio.active_links for end in self.ends))
        listens = any(end.radio.listens for end in self.ends)
        share = 1 - self._air.model.listening if listens else 1
        return self.interval_s * 1e6 * share / sharing - GUARD_US

    def _exchange(self, sizes: list[int]) -> None:
        for side, (sender, octets) in enumerate(zip(self.ends, sizes, strict=True)):
            if octets and not self.silent:
                self.packets[side] += 1
                self._send(sender, self.ends[1 - side], octets)

    def _send(self, sender: RadioConnection, receiver: RadioConnection, octets: int) -> None:
        if sender.control:
            self._control(sender, receiver, sender.control.popleft())
        elif (packet := sender.take(octets)) is not None:
            flag, data = packet
            receiver.radio.on_acl(receiver, flag, self._limited(flag, data))

    def _control(
        self, sender: RadioConnection, receiver: RadioConnection, pdu: ll.ControlPdu
    ) -> None:
        if isinstance(pdu, ll.TerminateInd):
            local = hci.HCI_ErrorCode.CONNECTION_TERMINATED_BY_LOCAL_HOST_ERROR
            reasons = (local, pdu.error_code)
            sender.settle()
            self.close(*(reasons if sender is self.ends[0] else reversed(reasons)))
            return
        if isinstance(pdu, ll.ConnectionUpdateInd):
            self.set_timing(pdu.interval, pdu.timeout)
            sender.radio.on_ll_control_pdu(sender.peer_address, pdu)
        receiver.radio.on_ll_control_pdu(receiver.peer_address, pdu)

    def _limited(self, flag: int, data: bytes) -> bytes:
        """Lower what an ATT Exchange MTU says if the air has a limit (Vol 3, Part F, 3.4.2)."""
        limit = self._air.faults.mtu_limit
        if limit is None or flag != FIRST or len(data) != _MTU_PDU.size:
            return data
        length, channel, opcode, mtu = _MTU_PDU.unpack(data)
        if channel != _ATT_CHANNEL or opcode not in _EXCHANGE_MTU:
            return data
        return _MTU_PDU.pack(length, channel, opcode, min(mtu, limit))
