"""A Bumble host that reads advertisements cheaply and knows when its transport is lost."""

from collections.abc import Callable

from bumble import hci
from bumble.host import Host
from bumble.transport.common import Transport, TransportLostError

_LE_META = bytes((hci.HCI_EVENT_PACKET, hci.HCI_LE_META_EVENT))
_ADVERTISING_REPORT = 2
_OCTET = 256
_LARGEST_SIGNED = 127
_SUBEVENT, _COUNT, _FIRST = 3, 4, 5
_ADDRESS, _LENGTH, _DATA = 2, 8, 9
"""Where they are in a report; the RSSI follows the data (Core 5.4, Vol 4, Part E, 7.7.65.2)."""

OnReport = Callable[[int, int, bytes, bytes, int], None]
"""Takes event type, address type, address (lowest octet first), data and RSSI (dBm)."""


class AdapterHost(Host):
    """The host of one adapter; `on_report` and `on_lost` hear what concerns them."""

    def __init__(
        self, transport: Transport, on_report: OnReport, on_lost: Callable[[], None]
    ) -> None:
        self._on_report = on_report
        self._on_lost = on_lost
        super().__init__(transport.source, transport.sink)

    def on_packet(self, packet: bytes) -> None:
        """Take a packet of the controller."""
        if packet[:2] == _LE_META and packet[_SUBEVENT] == _ADVERTISING_REPORT and self.ready:
            self._read_reports(packet)
        else:
            super().on_packet(packet)

    def on_transport_lost(self) -> None:
        """Tell all that wait for the controller that it is gone."""
        pending = self.pending_response
        if pending is not None and not pending.done():
            pending.set_exception(TransportLostError("transport lost"))
        self.ready = False
        self.emit("flush")
        self._on_lost()

    def _read_reports(self, packet: bytes) -> None:
        at = _FIRST
        for _ in range(packet[_COUNT]):
            data = at + _DATA
            end = data + packet[at + _LENGTH]
            rssi = packet[end]
            self._on_report(
                packet[at],
                packet[at + 1],
                packet[at + _ADDRESS : at + _LENGTH],
                packet[data:end],
                rssi - _OCTET if rssi > _LARGEST_SIGNED else rssi,
            )
            at = end + 1
