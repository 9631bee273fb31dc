"""Switching an adapter off and on by way of BlueZ; the gateway's only importer of dbus_fast."""

import asyncio

from dbus_fast import BusType, Message, MessageType, Variant
from dbus_fast.aio import MessageBus
from dbus_fast.errors import DBusError, InvalidAddressError

from lilong_gateway.errors import LinkRefusedError

_SERVICE = "org.bluez"
_PATH = "/org/bluez/"
_ADAPTER = "org.bluez.Adapter1"
_PROPERTIES = "org.freedesktop.DBus.Properties"
_OFF_S = 1.0


async def switch_off_and_on(adapter: str) -> None:
    """Do so, and wait for BlueZ to say that it is on; LinkRefusedError says why it is not.

    BlueZ lets root do that, and whoever its D-Bus policy names, such as the group bluetooth.
    """
    try:
        bus = await MessageBus(bus_type=BusType.SYSTEM).connect()
    except (OSError, EOFError, DBusError, InvalidAddressError) as error:
        raise LinkRefusedError(adapter, f"no way to BlueZ: {error}") from error
    try:
        await _power(bus, adapter, on=False)
        await asyncio.sleep(_OFF_S)
        await _power(bus, adapter, on=True)
    finally:
        bus.disconnect()


async def _power(bus: MessageBus, adapter: str, *, on: bool) -> None:
    """Set Powered; the answer comes when the kernel has done it."""
    reply = await bus.call(
        Message(
            destination=_SERVICE,
            path=_PATH + adapter,
            interface=_PROPERTIES,
            member="Set",
            signature="ssv",
            body=[_ADAPTER, "Powered", Variant("b", on)],
        )
    )
    if reply is None or reply.message_type is MessageType.ERROR:
        words = "no answer" if reply is None else f"{reply.error_name} {reply.body}"
        raise LinkRefusedError(
            adapter, f"BlueZ does not switch it {'on' if on else 'off'}: {words}"
        )
