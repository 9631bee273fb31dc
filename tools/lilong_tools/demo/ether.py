"""The virtual air of a demonstration: an adapter for the gateway, radios for the nodes."""

from typing import TYPE_CHECKING

from lilong_tools.radio.air import Air
from lilong_tools.radio.plug import Radio

if TYPE_CHECKING:
    from lilong_tools.radio.port import Port

ADAPTER = "hci0"


class Ether:
    """Made and opened inside the event loop that it lives in."""

    def __init__(self) -> None:
        self._air = Air()
        self._port: Port | None = None
        self._radios: list[Radio] = []

    async def open(self) -> list[str]:
        """Let the adapter appear; return the words that run the gateway on it, up to its own."""
        self._port = await self._air.serve(ADAPTER)
        adapter = f"{ADAPTER}={self._port.address}"
        return ["lilong_tools.radio.gateway", "--adapter", adapter, "--"]

    def radio(self, name: str) -> Radio:
        """Return the radio of a node of that name."""
        self._radios.append(Radio(self._air, name))
        return self._radios[-1]

    async def close(self) -> None:
        """Give everything back."""
        for radio in self._radios:
            radio.close()
        if self._port is not None:
            await self._port.close()
