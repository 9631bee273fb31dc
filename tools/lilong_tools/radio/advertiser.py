"""Legacy advertising of a virtual controller (Core 5.4, Vol 6, Part B, 4.4.2)."""

import asyncio
from typing import TYPE_CHECKING, cast

from bumble import hci
from bumble.controller import LegacyAdvertiser

if TYPE_CHECKING:
    from lilong_tools.radio.controller import RadioController

ADV_IND, ADV_DIRECT_IND, ADV_SCAN_IND, ADV_NONCONN_IND, SCAN_RSP = range(5)
_DIRECT_LOW_DUTY = 4
_CONNECTABLE = frozenset({ADV_IND, ADV_DIRECT_IND, _DIRECT_LOW_DUTY})
_SCANNABLE = frozenset({ADV_IND, ADV_SCAN_IND})
_SHORTEST_S = 0.02
_UNIT_S = 0.000625
_DELAY_S = 0.01
"""Each advertisement comes up to this much later than its interval says (advDelay)."""


class RadioAdvertiser(LegacyAdvertiser):
    """The advertising of one controller; its air delivers it."""

    @property
    def radio(self) -> "RadioController":
        """The controller whose advertising this is."""
        return cast("RadioController", self.controller)

    @property
    def interval_s(self) -> float:
        """The time between two advertisements, without the random delay."""
        return max(_SHORTEST_S, self.advertising_interval_min * _UNIT_S)

    @property
    def connectable(self) -> bool:
        """Whether the advertisement invites to connect."""
        return self.advertising_type in _CONNECTABLE

    @property
    def scannable(self) -> bool:
        """Whether an active scanner gets a scan response."""
        return self.advertising_type in _SCANNABLE

    @property
    def rate_per_s(self) -> float:
        """How many advertisements a second this makes."""
        return 1 / (self.interval_s + _DELAY_S / 2)

    def invites(self, central: hci.Address) -> bool:
        """Say whether this central may connect: a directed advertisement means one alone."""
        if self.advertising_type in _SCANNABLE:
            return self.connectable
        return self.connectable and self.peer_address == central

    def start(self) -> None:
        """Advertise from now on."""
        self.stop()
        self.enabled = True
        self.radio.air.on_advertising(self, on=True)
        self._wait(0.0)

    def stop(self) -> None:
        """Advertise no more."""
        super().stop()
        self.radio.air.on_advertising(self, on=False)

    def send_advertising_data(self) -> None:
        """Put one advertisement on the air."""
        self.radio.air.advertise(self)

    def report(self, *, response: bool) -> bytes:
        """Return the LE Advertising Report event (Vol 4, Part E, 7.7.65.2) but for its RSSI."""
        kind = SCAN_RSP if response else min(self.advertising_type, ADV_NONCONN_IND)
        data = self.scan_response_data if response else self.advertising_data
        address = self.address
        head = bytes((hci.HCI_EVENT_PACKET, hci.HCI_LE_META_EVENT, 12 + len(data), 2, 1, kind))
        return head + bytes((address.address_type,)) + bytes(address) + bytes((len(data),)) + data

    def _on_timer_fired(self) -> None:
        self.send_advertising_data()
        if self.enabled:
            self._wait(self.interval_s)

    def _wait(self, seconds: float) -> None:
        delay = self.radio.air.chance.uniform(0, _DELAY_S)
        loop = asyncio.get_running_loop()
        self.timer_handle = loop.call_later(seconds + delay, self._on_timer_fired)
