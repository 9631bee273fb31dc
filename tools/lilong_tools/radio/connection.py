"""One end of a link, as its controller sees it: what its host gave it and the air has yet to take.

Core 5.4, Vol 6, Part B, 2.4 and 4.5.
"""

from collections import deque
from typing import TYPE_CHECKING, cast

from bumble import hci, ll
from bumble.controller import Connection

if TYPE_CHECKING:
    from lilong_tools.radio.controller import RadioController
    from lilong_tools.radio.link import RadioLink

FIRST = 2
"""The packet boundary flag of what begins an L2CAP frame (Vol 4, Part E, 5.4.2)."""
_CONTROL_OCTETS = 12


class RadioConnection(Connection):
    """`data` and `control` wait to be sent; `gone` once the controller has forgotten it."""

    def __post_init__(self) -> None:
        """Begin with nothing to send."""
        self.control: deque[ll.ControlPdu] = deque()
        self.data: deque[tuple[int, bytes]] = deque()
        self.begun = 0
        self.completed = 0
        self.gone = False
        self.radio_link: RadioLink | None = None

    @property
    def radio(self) -> "RadioController":
        """The controller of this end."""
        return cast("RadioController", self.controller)

    def on_hci_acl_data_packet(self, packet: hci.HCI_AclDataPacket) -> None:
        """Take a packet of the host; it is completed when the other end has it."""
        continued = packet.pb_flag == hci.HCI_ACL_PB_CONTINUATION
        self.data.append((hci.HCI_ACL_PB_CONTINUATION if continued else FIRST, packet.data))
        self._wake()

    def send_ll_control_pdu(self, packet: ll.ControlPdu) -> None:
        """Send what controllers say to each other; it goes ahead of data."""
        self.control.append(packet)
        self._wake()

    def waiting_octets(self, limit: int) -> int:
        """Return the payload of the next packet, at most `limit`; 0 if nothing waits."""
        if self.control:
            return _CONTROL_OCTETS
        return min(limit, len(self.data[0][1]) - self.begun) if self.data else 0

    def take(self, octets: int) -> tuple[int, bytes] | None:
        """Send so many octets of data; return the host's packet that is whole with them."""
        self.begun += octets
        if self.begun < len(self.data[0][1]):
            return None
        self.begun = 0
        self.completed += 1
        return self.data.popleft()

    def settle(self) -> None:
        """Tell the host how many of its packets have got through."""
        if self.completed and not self.gone:
            self.radio.send_hci_packet(
                hci.HCI_Number_Of_Completed_Packets_Event(
                    connection_handles=[self.handle], num_completed_packets=[self.completed]
                )
            )
        self.completed = 0

    def _wake(self) -> None:
        if self.radio_link is not None:
            self.radio_link.wake()
