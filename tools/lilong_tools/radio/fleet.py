"""The adapters of one program, by name."""

from collections.abc import Mapping

from lilong_tools.errors import ToolError
from lilong_tools.radio.adapter import BLUEZ_INTERVALS_MS, Adapter, Intervals
from lilong_tools.radio.bleak_errors import adapter_gone


class Fleet:
    """Adapters by name (`hci0`) and Bumble transport; the first is what a program gets unasked."""

    def __init__(
        self, transports: Mapping[str, str], intervals_ms: Intervals = BLUEZ_INTERVALS_MS
    ) -> None:
        """Name them; each is opened when it is first used."""
        if not transports:
            raise ToolError("a program needs an adapter", "name one: hci0=tcp-client:HOST:PORT")
        self._adapters = {
            name: Adapter(name, transport, intervals_ms) for name, transport in transports.items()
        }

    def adapter(self, name: str | None) -> Adapter:
        """Return the adapter of that name, or the first; raises bleak's error if there is none."""
        if name is None:
            return next(iter(self._adapters.values()))
        if name not in self._adapters:
            raise adapter_gone(name)
        return self._adapters[name]

    async def recover(self, name: str) -> bool:
        """Power-cycle an adapter; say whether it works after that."""
        return name in self._adapters and await self._adapters[name].cycle()

    async def close(self) -> None:
        """Let go of all of them."""
        for adapter in self._adapters.values():
            await adapter.close()
