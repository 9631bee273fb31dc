"""The GATT server of a virtual node's radio: Bumble's, for values that are the node's."""

import asyncio

from bumble import att
from bumble.device import Connection, Device
from bumble.gatt import GATT_DEVICE_NAME_CHARACTERISTIC, GATT_GENERIC_ACCESS_SERVICE
from bumble.gatt_server import Server

from lilong_tools.radio.centrals import Centrals
from lilong_tools.radio.frames import Record
from lilong_tools.radio.services import Services

_LONGEST_VALUE = 512


class NodeServer(Server):
    """Writes reach the node in the order they came in; Bumble gives each a task of its own."""

    def __init__(self, device: Device, centrals: Centrals) -> None:
        """Be the server of a device that has none of the usual services yet."""
        super().__init__(device)
        self._centrals = centrals
        self._by_handle: dict[int, att.Attribute[bytes]] = {}
        self._handles: dict[int, int] = {}
        device.gatt_server = self
        device.add_default_services()
        self._usual = (len(self.attributes), len(self.services))

    def define(self, records: list[Record]) -> None:
        """Replace the services by those of a TABLE."""
        attributes, services = self._usual
        del self.attributes[attributes:]
        del self.services[services:]
        self.attributes_by_handle.clear()
        defined = Services(records, self._centrals)
        self.add_services(defined.build())
        self._by_handle = defined.attributes
        self._handles = {one.handle: handle for handle, one in self._by_handle.items()}

    def set_name(self, name: bytes) -> None:
        """Set the GAP device name."""
        found = self.get_characteristic_attributes(
            GATT_GENERIC_ACCESS_SERVICE, GATT_DEVICE_NAME_CHARACTERISTIC
        )
        if found is not None:
            found[1].value = name

    def attribute(self, handle: int) -> att.Attribute[bytes] | None:
        """Return what the node knows under this number."""
        return self._by_handle.get(handle)

    def node_handle(self, attribute: att.Attribute[bytes]) -> int | None:
        """Return the node's number of an attribute."""
        return self._handles.get(attribute.handle)

    def on_att_write_request(self, bearer: att.Bearer, request: att.ATT_Write_Request) -> None:
        """Give the node the value; the response goes out when it has been handled there."""
        handle = self._writable(request.attribute_handle, request.attribute_value)
        if handle is None or not isinstance(bearer, Connection):
            super().on_att_write_request(bearer, request)
            return
        connection = bearer
        answer = self._centrals.begin_write(connection, handle, request.attribute_value)
        answer.add_done_callback(lambda done: self._respond(connection, request, done))

    def on_att_write_command(self, bearer: att.Bearer, request: att.ATT_Write_Command) -> None:
        """Give the node the value."""
        handle = self._writable(request.attribute_handle, request.attribute_value)
        if handle is None or not isinstance(bearer, Connection):
            super().on_att_write_command(bearer, request)
            return
        self._centrals.command(bearer, handle, request.attribute_value)

    def _writable(self, handle: int, value: bytes) -> int | None:
        """Return the node's number of an attribute of its own that takes this value."""
        attribute = self.get_attribute(handle)
        if attribute is None or len(value) > _LONGEST_VALUE:
            return None
        able = attribute.permissions & att.Attribute.Permissions.WRITEABLE
        return self._handles.get(handle) if able else None

    def _respond(
        self, connection: Connection, request: att.ATT_Write_Request, done: asyncio.Future[bytes]
    ) -> None:
        if self._centrals.number(connection) is None:
            done.exception()
            return
        response: att.ATT_PDU = att.ATT_Write_Response()
        if isinstance(error := done.exception(), att.ATT_Error):
            response = att.ATT_Error_Response(
                request_opcode_in_error=request.op_code,
                attribute_handle_in_error=request.attribute_handle,
                error_code=error.error_code,
            )
        self.send_response(connection, response)
