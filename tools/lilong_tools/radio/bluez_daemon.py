"""A fake bluetoothd: org.bluez on a private bus, over the virtual air.

It answers as BlueZ 5.66 without --experimental does to what bleak asks of it: read from BlueZ's
documentation and source, never compared with a bluetoothd on a real kernel. There is no pairing,
no passive scan and no cache of attributes on disk.
"""

from collections.abc import Mapping
from types import TracebackType
from typing import Self

from bumble.device import Device

from lilong_tools.radio.bluez_adapter import Adapter
from lilong_tools.radio.bluez_faults import DaemonFaults
from lilong_tools.radio.bluez_parts import Parts
from lilong_tools.radio.bluez_radio import Radio
from lilong_tools.radio.bluez_tree import Tree
from lilong_tools.radio.bluez_work import Work

NAME = "org.bluez"
CONNECT_S = 20.0
"""How long the kernel tries to connect (HCI_LE_CONN_TIMEOUT)."""
TEMPORARY_S = 30.0
"""How long bluetoothd keeps a device that only was heard (main.conf, TemporaryTimeout)."""


class Bluetoothd:
    """The daemon: in this process's loop, for programs that are led to its bus.

    `adapters` are those on the bus, by name; `faults` can be set at any time.
    """

    def __init__(
        self,
        address: str,
        hosts: Mapping[str, Device],
        *,
        connect_s: float = CONNECT_S,
        temporary_s: float = TEMPORARY_S,
    ) -> None:
        """Keep the bus's address and the adapters' Bumble hosts by name (`hci0`)."""
        self.adapters: dict[str, Adapter] = {}
        self.faults = DaemonFaults()
        self._address = address
        self._hosts = dict(hosts)
        self._connect_s, self._temporary_s = connect_s, temporary_s
        self._work = Work()
        self._tree = Tree(self._work)

    @property
    def failures(self) -> int:
        """How many calls it answered with a defect of its own."""
        return self._work.failures

    async def __aenter__(self) -> Self:
        """Start."""
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop."""
        await self.stop()

    async def start(self) -> None:
        """Own the name, with all adapters plugged in and powered; ToolError without a bus."""
        await self._tree.open(self._address, NAME, self._left)
        for name in self._hosts:
            await self.plug(name)

    async def stop(self) -> None:
        """Lose the name at once, as when it is killed: the kernel ends all links."""
        await self._work.stop()
        self._tree.close()
        for name in list(self.adapters):
            await self.unplug(name)

    async def plug(self, name: str) -> None:
        """Put an adapter in, or back in; KeyError when it has no host."""
        parts = Parts(
            self._tree, self._work, Radio(self._hosts[name], self._connect_s), self.faults
        )
        self.adapters[name] = adapter = Adapter(name, parts, self._temporary_s)
        await adapter.open()

    async def unplug(self, name: str) -> None:
        """Pull an adapter out."""
        await self.adapters.pop(name).vanish()

    def _left(self, client: str) -> None:
        for adapter in self.adapters.values():
            adapter.forget(client)
