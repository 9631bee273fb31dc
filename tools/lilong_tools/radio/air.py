"""The virtual air: it joins controllers, carries what they send, and plays the faults."""

import asyncio
import random
from collections import defaultdict

from bumble import hci
from bumble.link import LocalLink

from lilong_tools.errors import ToolError
from lilong_tools.radio.advertiser import RadioAdvertiser
from lilong_tools.radio.controller import RadioController
from lilong_tools.radio.faults import Faults
from lilong_tools.radio.initiating import Timing
from lilong_tools.radio.link import RadioLink
from lilong_tools.radio.model import RadioModel
from lilong_tools.radio.port import Port

_NOT_HEARD = -127
_ADDRESSES = 0x4C_4C << 32
"""Public addresses that the air hands out: 4C:4C:00:00:00:01 and on."""


class Air(LocalLink):
    """The controllers of a bench and what lies between them; `links` are their connections.

    It is made in the running event loop and lives there. `seed` makes its chances repeatable.
    """

    def __init__(self, model: RadioModel | None = None, seed: int | None = None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._loop = asyncio.get_running_loop()
        self.model = model or RadioModel()
        self.chance = random.Random(seed)  # noqa: S311 - keeps no secret
        self.faults = Faults(self.chance)
        self.links: set[RadioLink] = set()
        self.named: dict[str, RadioController] = {}
        self._rssi: dict[frozenset[str], int | None] = {}
        self._scanners: set[RadioController] = set()
        self._connecting: defaultdict[hci.Address, list[str]] = defaultdict(list)
        self._rates: dict[int, float] = {}

    def controller(self, name: str, address: str | None = None) -> RadioController:
        """Make a controller, powered, with this public address (or one of the air's own)."""
        if name in self.named:
            raise ToolError(f"the air has a controller {name} already", "give another name")
        number = _ADDRESSES + len(self.named) + 1
        public = hci.Address(
            address or number.to_bytes(6, "little"), hci.Address.PUBLIC_DEVICE_ADDRESS
        )
        self.named[name] = RadioController(self, name, public)
        return self.named[name]

    async def serve(self, name: str, where: str = "tcp", address: str | None = None) -> Port:
        """Make a controller that another process reaches over a socket or a PTY (`Port.open`)."""
        port = Port(self.controller(name, address), where)
        await port.open()
        return port

    def remove(self, name: str) -> None:
        """Take a controller away; its peers notice by their timeouts."""
        controller = self.named.pop(name)
        controller.reset()
        self.remove_controller(controller)

    def set_rssi(self, one: str, other: str, dbm: int | None) -> None:
        """Say how loud two controllers hear each other; None: not at all, from now on."""
        self._rssi[frozenset((one, other))] = dbm
        if dbm is None:
            self.silence(one, other)

    def rssi(self, one: str, other: str) -> int | None:
        """Return how loud one hears the other this time, dBm; None if not at all."""
        level = self._rssi.get(frozenset((one, other)), self.model.rssi_dbm)
        if level is None:
            return None
        return max(_NOT_HEARD + 1, round(self.chance.gauss(level, self.model.rssi_spread_db)))

    def silence(self, name: str, other: str | None = None) -> int:
        """Let the links of a controller (with another) go dead without a word; return how many."""
        found = [link for link in self.links if _is_between(link, name, other)]
        for link in found:
            link.silence()
        return len(found)

    # What controllers tell the air

    def on_scanning(self, controller: RadioController) -> None:
        """Hear that a controller has started to scan, or stopped."""
        (self._scanners.add if controller.le_scan_enable else self._scanners.discard)(controller)

    def on_connecting(self, name: str, peer: hci.Address, *, on: bool) -> None:
        """Hear that a controller waits for a peer to advertise, or no longer."""
        waiting = self._connecting[peer]
        if on:
            waiting.append(name)
        else:
            waiting.remove(name)
        if not waiting:
            del self._connecting[peer]

    def on_advertising(self, advertiser: RadioAdvertiser, *, on: bool) -> None:
        """Hear that a controller has started to advertise, or stopped."""
        self._rates.pop(id(advertiser), None)
        if on:
            self._rates[id(advertiser)] = advertiser.rate_per_s

    def advertise(self, advertiser: RadioAdvertiser) -> None:
        """Bring an advertisement to those that listen for it."""
        centrals = self._connecting.get(advertiser.address)
        if not self._scanners and not centrals:
            return
        heard = self._heard_share(advertiser)
        for scanner in self._scanners:
            self._report(scanner, advertiser, heard)
        if centrals and advertiser.connectable:
            for central in list(centrals):
                if advertiser.enabled:
                    self._connect(self.named[central], advertiser, heard)

    def _heard_share(self, advertiser: RadioAdvertiser) -> float:
        octets = len(advertiser.advertising_data)
        share = self.model.advert_heard(octets, sum(self._rates.values()))
        return share * (1 - self.faults.advert_loss)

    def _report(self, scanner: RadioController, advertiser: RadioAdvertiser, heard: float) -> None:
        """Let a scanner hear it, if its radio is free and listens and nothing is in the way."""
        listening = scanner.le_scan_window / max(1, scanner.le_scan_interval)
        if not self._hears(scanner, advertiser, heard * min(1.0, listening)):
            return
        level = self.rssi(scanner.name, advertiser.radio.name)
        if level is None:
            return
        scanner.on_report(advertiser.report(response=False), level)
        active = bool(scanner.le_scan_type) and advertiser.scannable
        if active and self.chance.random() < heard:
            scanner.on_report(advertiser.report(response=True), level)

    def _hears(self, listener: RadioController, advertiser: RadioAdvertiser, share: float) -> bool:
        if listener is advertiser.radio or listener.name in self.faults.wedged:
            return False
        free = listener.busy_until_s <= self._loop.time()
        return free and self.chance.random() < share

    def _connect(
        self, central: RadioController, advertiser: RadioAdvertiser, heard: float
    ) -> None:
        """Let a waiting central connect, unless it cannot hear, or may not, or a fault is set."""
        peripheral, peer = advertiser.radio, advertiser.address
        own = central.connecting_address
        able = advertiser.invites(own) and own not in peripheral.le_connections
        audible = self.rssi(central.name, peripheral.name) is not None
        if not (able and audible and self._hears(central, advertiser, heard)):
            return
        command = central.accepted()
        if status := self.faults.refusal((central.name, peripheral.name)):
            central.fail(status, peer)
            return
        interval = central.interval(
            command.connection_interval_min, command.connection_interval_max
        )
        timing = (interval, command.max_latency, command.supervision_timeout)
        ends = (
            central.end(hci.Role.CENTRAL, own, peer),
            peripheral.end(hci.Role.PERIPHERAL, peer, own),
        )
        link = RadioLink(self, ends)
        link.set_timing(interval, command.supervision_timeout)
        self.links.add(link)
        central.join(ends[0], timing)
        self._invite(link, peripheral, timing, came=self.chance.random() < heard)

    def _invite(
        self, link: RadioLink, peripheral: RadioController, timing: Timing, *, came: bool
    ) -> None:
        """Let the peripheral join, if the central's request came through (Vol 6, Part B, 4.5)."""
        end = link.ends[1]
        if not came:
            end.gone = True
            link.silence(unheard=True)
            return
        peripheral.advertiser.stop()
        peripheral.join(end, timing)
        if (seconds := self.faults.drop_after_s()) is not None:
            self._loop.call_later(seconds, link.silence)


def _is_between(link: RadioLink, name: str, other: str | None) -> bool:
    names = {end.radio.name for end in link.ends}
    return name in names and (other is None or other in names)
