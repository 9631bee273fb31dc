"""A virtual Bluetooth LE controller on an air: Bumble's, made to behave as Core 5.4 says.

Mended here: Reset, both kinds of address, fragments to the host.
"""

import asyncio
import logging
import struct
from typing import TYPE_CHECKING, cast

from bumble import hci, ll
from bumble.controller import Connection
from bumble.core import PhysicalTransport

from lilong_tools.radio.advertiser import RadioAdvertiser
from lilong_tools.radio.answers import ACL_OCTETS, OK
from lilong_tools.radio.connection import RadioConnection
from lilong_tools.radio.initiating import InitiatingController, Timing

if TYPE_CHECKING:
    from lilong_tools.radio.air import Air

_log = logging.getLogger(__name__)
_LINK_TYPE_ACL = hci.HCI_Connection_Complete_Event.LinkType.ACL
_REPORTS_KEPT = 4096


class RadioController(InitiatingController):
    """One controller on an air; a Bumble `Host`, or a socket, is its host."""

    def __init__(self, air: "Air", name: str, address: hci.Address) -> None:
        """Join the air; `Air.controller` makes these."""
        super().__init__(name, link=air, public_address=address)
        self.air = air
        self.busy_until_s = 0.0
        self.prepare(air.model)
        self.le_legacy_advertiser = RadioAdvertiser(self)
        self._reported: set[bytes] = set()

    @property
    def advertiser(self) -> RadioAdvertiser:
        """What it advertises."""
        return cast("RadioAdvertiser", self.le_legacy_advertiser)

    @property
    def radio_connections(self) -> list[RadioConnection]:
        """Its ends of links."""
        return [cast("RadioConnection", end) for end in self.le_connections.values()]

    @property
    def listens(self) -> bool:
        """Whether it waits for advertisements."""
        return self.le_scan_enable or self.pending is not None

    @property
    def active_links(self) -> int:
        """How many of its links have something to send."""
        links = (end.radio_link for end in self.radio_connections)
        return sum(1 for link in links if link is not None and link.active)

    def on_packet(self, packet: bytes) -> None:
        """Take a packet of the host; one that cannot be read is logged and dropped."""
        if self.name in self.air.faults.mute:
            return
        try:
            super().on_packet(packet)
        except (ValueError, LookupError, struct.error) as error:
            _log.warning("%s: an HCI packet that cannot be read: %s", self.name, error)

    def reset(self) -> None:
        """Forget everything but the public address; peers notice by their timeouts."""
        self.advertiser.stop()
        self.advertiser.advertising_data = self.advertiser.scan_response_data = b""
        self.le_scan_enable = False
        self.air.on_scanning(self)
        self.stop_connecting()
        self._random_address = hci.Address("00:00:00:00:00:00")
        for end in self.radio_connections:
            if end.radio_link is not None:
                end.radio_link.abandon(end)
        self.le_connections.clear()
        self.host_octets = ACL_OCTETS
        self.filter_duplicates = False
        self.air.faults.on_reset(self.name)

    # What comes from the air

    def on_report(self, report: bytes, rssi: int) -> None:
        """Tell the host of an advertisement; `report` is the event without its last byte."""
        if self.filter_duplicates:
            if report in self._reported:
                return
            if len(self._reported) < _REPORTS_KEPT:
                self._reported.add(report)
        if self.host:
            packet = report + bytes((rssi & 0xFF,))
            asyncio.get_running_loop().call_soon(self.host.on_packet, packet)

    def on_acl(self, end: Connection, flag: int, data: bytes) -> None:
        """Give a packet of the peer to the host, in pieces that it has room for."""
        for start in range(0, len(data), self.host_octets):
            piece = data[start : start + self.host_octets]
            first = flag if not start else hci.HCI_ACL_PB_CONTINUATION
            self.send_hci_packet(hci.HCI_AclDataPacket(end.handle, first, 0, len(piece), piece))

    def end(self, role: hci.Role, own: hci.Address, peer: hci.Address) -> RadioConnection:
        """Make the end of a new link; it counts when it has joined."""
        return RadioConnection(
            controller=self,
            handle=self.allocate_connection_handle(),
            role=role,
            self_address=own,
            peer_address=peer,
            link=self.air,
            transport=PhysicalTransport.LE,
            link_type=_LINK_TYPE_ACL,
        )

    def join(self, end: RadioConnection, timing: Timing) -> None:
        """Take an end as a connection, and tell the host."""
        self.le_connections[end.peer_address] = end
        self.say_connected(OK, end, end.peer_address, timing)

    # What comes from the host

    def on_hci_reset_command(
        self, _command: hci.HCI_Reset_Command
    ) -> hci.HCI_StatusReturnParameters:
        """Vol 4, Part E, 7.3.2."""
        self.reset()
        return hci.HCI_StatusReturnParameters(OK)

    def on_hci_disconnect_command(self, command: hci.HCI_Disconnect_Command) -> None:
        """7.1.6: complete when the peer has heard of it, or after the supervision timeout."""
        if (end := self.begin(command, command.connection_handle)) is not None:
            end.send_ll_control_pdu(ll.TerminateInd(command.reason))

    def on_hci_le_set_scan_enable_command(
        self, command: hci.HCI_LE_Set_Scan_Enable_Command
    ) -> hci.HCI_StatusReturnParameters:
        """7.8.11."""
        self._reported.clear()
        answer = super().on_hci_le_set_scan_enable_command(command)
        self.air.on_scanning(self)
        return answer

    def on_hci_le_connection_update_command(
        self, command: hci.HCI_LE_Connection_Update_Command
    ) -> None:
        """7.8.18: both hosts hear of it when it has gone over the air."""
        if (end := self.begin(command, command.connection_handle)) is None:
            return
        interval = self.interval(command.connection_interval_min, command.connection_interval_max)
        end.send_ll_control_pdu(
            ll.ConnectionUpdateInd(interval, command.max_latency, command.supervision_timeout)
        )
