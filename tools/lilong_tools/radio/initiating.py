"""A controller that connects: pending until the peer advertises, or until it is cancelled.

Bumble's own can neither cancel nor refuse.
"""

import asyncio
from typing import TYPE_CHECKING, cast

from bumble import hci

from lilong_tools.errors import ToolError
from lilong_tools.radio.answers import OK, AnsweringController
from lilong_tools.radio.connection import RadioConnection
from lilong_tools.radio.link import UNIT_MS

if TYPE_CHECKING:
    from lilong_tools.radio.air import Air

Timing = tuple[int, int, int]
"""Interval (1.25 ms), latency (events) and supervision timeout (10 ms) of a connection."""


class InitiatingController(AnsweringController):
    """What a central does until it is connected; the rest is in RadioController."""

    air: "Air"

    @property
    def pending(self) -> hci.HCI_LE_Create_Connection_Command | None:
        """The command that waits for a peer to advertise."""
        return cast("hci.HCI_LE_Create_Connection_Command | None", self.pending_le_connection)

    def on_hci_le_create_connection_command(
        self, command: hci.HCI_LE_Create_Connection_Command
    ) -> None:
        """7.8.12: pending until the peer advertises, or until it is cancelled."""
        errors = hci.HCI_ErrorCode
        status: int = hci.HCI_COMMAND_STATUS_PENDING
        if self.pending_le_connection or self.name in self.air.faults.busy:
            status = errors.COMMAND_DISALLOWED_ERROR
        elif command.peer_address in self.le_connections:
            status = errors.CONNECTION_ALREADY_EXISTS_ERROR
        elif len(self.le_connections) >= self.air.model.links:
            status = errors.CONNECTION_LIMIT_EXCEEDED_ERROR
        self._send_hci_command_status(status, command.op_code)
        if status == hci.HCI_COMMAND_STATUS_PENDING:
            self.pending_le_connection = command
            self.air.on_connecting(self.name, command.peer_address, on=True)

    def on_hci_le_create_connection_cancel_command(
        self, _command: hci.HCI_LE_Create_Connection_Cancel_Command
    ) -> hci.HCI_StatusReturnParameters:
        """7.8.13."""
        pending = self.stop_connecting()
        if pending is None:
            return hci.HCI_StatusReturnParameters(hci.HCI_ErrorCode.COMMAND_DISALLOWED_ERROR)
        # The answer to the command goes first.
        asyncio.get_running_loop().call_soon(
            self.fail,
            hci.HCI_ErrorCode.UNKNOWN_CONNECTION_IDENTIFIER_ERROR,
            pending.peer_address,
        )
        return hci.HCI_StatusReturnParameters(OK)

    @property
    def connecting_address(self) -> hci.Address:
        """The address of its own that it connects with."""
        pending = self.pending
        public = pending is None or pending.own_address_type == hci.OwnAddressType.PUBLIC
        return self.public_address if public else self.random_address

    def accepted(self) -> hci.HCI_LE_Create_Connection_Command:
        """Take what the host is connecting to, now that it advertises."""
        pending = self.stop_connecting()
        if pending is None:
            raise ToolError(f"{self.name} connects to nothing", "ask it to connect first")
        return pending

    def stop_connecting(self) -> hci.HCI_LE_Create_Connection_Command | None:
        """Wait no longer; return what was waited for."""
        pending = self.pending
        self.pending_le_connection = None
        if pending is not None:
            self.air.on_connecting(self.name, pending.peer_address, on=False)
        return pending

    def interval(self, shortest: int, longest: int) -> int:
        """Return the interval that it takes of what a host offers, in units of 1.25 ms."""
        wanted = round(self.air.model.interval_ms / UNIT_MS)
        return max(shortest, min(longest, wanted))

    def fail(self, status: int, peer: hci.Address) -> None:
        """Tell the host that no connection came about."""
        self.say_connected(status, None, peer, (0, 0, 0))

    def say_connected(
        self, status: int, end: RadioConnection | None, peer: hci.Address, timing: Timing
    ) -> None:
        """Tell the host what became of a connection: an end of it, or an error status."""
        interval, latency, timeout = timing
        self.send_hci_packet(
            hci.HCI_LE_Connection_Complete_Event(
                status=status,
                connection_handle=end.handle if end else 0,
                role=end.role if end else hci.Role.CENTRAL,
                peer_address_type=peer.address_type,
                peer_address=peer,
                connection_interval=interval,
                peripheral_latency=latency,
                supervision_timeout=timeout,
                central_clock_accuracy=0,
            )
        )
