"""The radio under an adapter: a Bumble host that scans and connects as the Linux kernel does."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

from bumble.core import BaseBumbleError
from bumble.core import TimeoutError as LinkTimeoutError
from bumble.device import Advertisement, Connection, ConnectionParametersPreferences, Device
from bumble.hci import (
    HCI_LE_1M_PHY,
    Address,
    HCI_ErrorCode,
    HCI_LE_Create_Connection_Cancel_Command,
)

from lilong_tools.radio.bluez_errors import BluezError, failed

ABORTED = "le-connection-abort-by-local"
_SCAN_MS = 11.25
_INTERVALS_MS = (30.0, 50.0)
_SUPERVISION_MS = 420


class Radio:
    """A Bumble host. It makes one connection at a time, and does not scan meanwhile."""

    def __init__(self, host: Device, connect_s: float) -> None:
        """Take a host that nobody else uses; a peer gets `connect_s` to be heard."""
        self._host = host
        self._connect_s = connect_s
        self._turn = asyncio.Lock()
        self._switching = asyncio.Lock()
        self._connecting = False
        self._heard: Callable[[Advertisement], None] | None = None

    @property
    def address(self) -> str:
        """The public address."""
        return self._host.public_address.to_string(with_type_qualifier=False)

    async def wake(self) -> None:
        """Power the host on, unless it is."""
        if not self._host.powered_on:
            await self._host.power_on()

    async def scan(self, heard: Callable[[Advertisement], None]) -> None:
        """Scan actively until `rest`; each advertisement comes with its scan response, if any."""
        if self._heard is None:
            self._heard = heard
            self._host.on(Device.EVENT_ADVERTISEMENT, heard)
            await self._switch()

    async def rest(self) -> None:
        """Stop scanning, if it scans."""
        heard, self._heard = self._heard, None
        if heard is not None:
            self._host.remove_listener(Device.EVENT_ADVERTISEMENT, heard)
            await self._switch()

    async def call_up(self, address: Address) -> Connection:
        """Connect; BluezError when the peer is not heard in time or refuses.

        A call that is cancelled leaves no connection behind.
        """
        async with self._turn, self._scan_paused():
            try:
                return await self._connect(address)
            except LinkTimeoutError as error:
                raise failed(ABORTED) from error
            except BaseBumbleError as error:
                raise _refused(error) from error
            except asyncio.CancelledError:
                await self._give_up(address)
                raise

    async def hang_up(self, link: Connection) -> None:
        """End a connection; nothing when it has ended."""
        if link.handle in self._host.connections:
            with contextlib.suppress(BaseBumbleError):
                await link.disconnect()

    async def hang_up_all(self) -> None:
        """End every connection."""
        for link in list(self._host.connections.values()):
            await self.hang_up(link)

    @contextlib.asynccontextmanager
    async def _scan_paused(self) -> AsyncIterator[None]:
        self._connecting = True
        try:
            await self._switch()
            yield
        finally:
            self._connecting = False
            await self._switch()

    async def _switch(self) -> None:
        """Start or stop scanning, as it is wanted by now."""
        async with self._switching:
            wanted = self._heard is not None and not self._connecting
            if wanted and not self._host.is_scanning:
                await self._host.start_scanning(scan_interval=_SCAN_MS, scan_window=_SCAN_MS)
            elif not wanted and self._host.is_scanning:
                await self._host.stop_scanning()

    async def _connect(self, address: Address) -> Connection:
        shortest, longest = _INTERVALS_MS
        wishes = ConnectionParametersPreferences(
            connection_interval_min=shortest,
            connection_interval_max=longest,
            supervision_timeout=_SUPERVISION_MS,
        )
        preferences = {HCI_LE_1M_PHY: wishes}
        return await self._host.connect(
            address, connection_parameters_preferences=preferences, timeout=self._connect_s
        )

    async def _give_up(self, address: Address) -> None:
        cancel = HCI_LE_Create_Connection_Cancel_Command()
        with contextlib.suppress(BaseBumbleError):
            await self._host.send_sync_command(cancel)
        for link in list(self._host.connections.values()):
            if link.peer_address == address:
                await self.hang_up(link)


def _refused(error: BaseBumbleError) -> BluezError:
    """Give the error of a connection that the controller refused, or that failed at once."""
    known = {
        HCI_ErrorCode.COMMAND_DISALLOWED_ERROR: "le-connection-busy",
        HCI_ErrorCode.CONNECTION_LIMIT_EXCEEDED_ERROR: "le-connection-busy",
        HCI_ErrorCode.CONNECTION_REJECTED_DUE_TO_LIMITED_RESOURCES_ERROR: "le-connection-refused",
    }
    code = getattr(error, "error_code", None)
    return failed(next((text for each, text in known.items() if each == code), ABORTED))
