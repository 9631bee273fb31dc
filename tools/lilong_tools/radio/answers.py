"""A Bumble controller that has an answer to every command.

Bumble's own is silent to some, which leaves a host waiting for ever; here those of a real LE
controller are obeyed, and the others refused as Core 5.4, Vol 4, Part E, 4.5 says. It has no
extended advertising, as many a dongle and the ESP32 have none; hosts then use the legacy commands.
"""

from bumble import hci
from bumble.controller import Connection, Controller

from lilong_tools.radio.model import RadioModel

ACL_OCTETS = 251
"""The largest packet that goes between a host and these controllers."""
OK = hci.HCI_ErrorCode.SUCCESS
_NO_FEATURES = (
    hci.LeFeatureMask.LE_EXTENDED_ADVERTISING
    | hci.LeFeatureMask.LE_PERIODIC_ADVERTISING
    | hci.LeFeatureMask.LE_CODED_PHY
)
_PACKET_US = 2120
"""The time of the longest packet at 1 Mbit/s."""


class AnsweringController(Controller):
    """Obeys or refuses; what concerns the air is in RadioController."""

    def prepare(self, model: RadioModel) -> None:
        """Take what the radio is able to do from its model."""
        self.model = model
        self.total_num_le_acl_data_packets = model.buffers
        self.le_acl_data_packet_length = ACL_OCTETS
        self.supported_max_tx_octets = self.supported_max_rx_octets = model.data_length
        self.supported_max_tx_time = self.supported_max_rx_time = _PACKET_US
        self.le_features = self.le_features & ~_NO_FEATURES
        self.host_octets = ACL_OCTETS

    def on_hci_command_packet(self, command: hci.HCI_Command) -> None:
        """Take a command of the host."""
        if command.op_code == hci.HCI_HOST_NUMBER_OF_COMPLETED_PACKETS_COMMAND:
            return  # by its nature it gets no answer (7.3.40)
        if command.name.startswith("HCI_LE_") and "EXTENDED" in command.name:
            self.refuse(command, hci.HCI_ErrorCode.UNKNOWN_HCI_COMMAND_ERROR)
            return
        if not hasattr(self, f"on_{command.name.lower()}"):
            self.refuse(command, hci.HCI_ErrorCode.UNKNOWN_HCI_COMMAND_ERROR)
            return
        super().on_hci_command_packet(command)

    def refuse(self, command: hci.HCI_Command, status: int) -> None:
        """Answer a command with an error."""
        if not isinstance(command, hci.HCI_SyncCommand):
            self._send_hci_command_status(status, command.op_code)
            return
        answer: hci.HCI_Command_Complete_Event[hci.HCI_StatusReturnParameters]
        answer = hci.HCI_Command_Complete_Event(
            num_hci_command_packets=1,
            command_opcode=command.op_code,
            return_parameters=hci.HCI_StatusReturnParameters(hci.HCI_ErrorCode(status)),
        )
        self.send_hci_packet(answer)

    def begin(self, command: hci.HCI_Command, handle: int) -> Connection | None:
        """Answer that a command about a link is being done; refuse it if there is no such link."""
        connection = self.find_le_connection_by_handle(handle)
        if connection is None:
            self.refuse(command, hci.HCI_ErrorCode.UNKNOWN_CONNECTION_IDENTIFIER_ERROR)
        else:
            self._send_hci_command_status(hci.HCI_COMMAND_STATUS_PENDING, command.op_code)
        return connection

    def on_hci_host_buffer_size_command(
        self, command: hci.HCI_Host_Buffer_Size_Command
    ) -> hci.HCI_StatusReturnParameters:
        """7.3.39."""
        self.host_octets = max(1, min(ACL_OCTETS, command.host_acl_data_packet_length))
        return hci.HCI_StatusReturnParameters(OK)

    def on_hci_set_controller_to_host_flow_control_command(
        self, _command: hci.HCI_Set_Controller_To_Host_Flow_Control_Command
    ) -> hci.HCI_StatusReturnParameters:
        """7.3.38: the host is always fast enough here."""
        return hci.HCI_StatusReturnParameters(OK)

    def on_hci_read_remote_version_information_command(
        self, command: hci.HCI_Read_Remote_Version_Information_Command
    ) -> None:
        """7.1.23: all controllers here are of one make."""
        if self.begin(command, command.connection_handle) is None:
            return
        self.send_hci_packet(
            hci.HCI_Read_Remote_Version_Information_Complete_Event(
                status=OK,
                connection_handle=command.connection_handle,
                version=self.lmp_version,
                manufacturer_name=self.manufacturer_company_identifier,
                subversion=self.lmp_subversion,
            )
        )

    def on_hci_le_set_data_length_command(
        self, command: hci.HCI_LE_Set_Data_Length_Command
    ) -> hci.HCI_StatusAndConnectionHandleReturnParameters:
        """7.8.33: every link has the length of the model from its beginning."""
        octets = self.model.data_length
        self.send_hci_packet(
            hci.HCI_LE_Data_Length_Change_Event(
                connection_handle=command.connection_handle,
                max_tx_octets=octets,
                max_tx_time=_PACKET_US,
                max_rx_octets=octets,
                max_rx_time=_PACKET_US,
            )
        )
        return hci.HCI_StatusAndConnectionHandleReturnParameters(OK, command.connection_handle)

    def on_hci_le_read_phy_command(
        self, command: hci.HCI_LE_Read_PHY_Command
    ) -> hci.HCI_LE_Read_PHY_ReturnParameters:
        """7.8.47: every link has the PHY of the model from its beginning."""
        phy = hci.Phy(self.model.phy)
        return hci.HCI_LE_Read_PHY_ReturnParameters(
            status=OK, connection_handle=command.connection_handle, tx_phy=phy, rx_phy=phy
        )

    def on_hci_le_set_phy_command(self, command: hci.HCI_LE_Set_PHY_Command) -> None:
        """7.8.49: it stays as it is."""
        if self.begin(command, command.connection_handle) is None:
            return
        phy = hci.Phy(self.model.phy)
        self.send_hci_packet(
            hci.HCI_LE_PHY_Update_Complete_Event(
                status=OK, connection_handle=command.connection_handle, tx_phy=phy, rx_phy=phy
            )
        )
