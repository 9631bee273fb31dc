"""How many advertisements a gateway takes in, and what that costs it."""

import asyncio
import contextlib
import secrets
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bumble.device import Device
from bumble.host import Host

from lilong_protocol.advert import Told, payload, scan_response, seal_advert
from lilong_tools.bench.ble.process import (
    ADAPTER,
    GatewayProcess,
    on_virtual_adapter,
    process_s,
    write_gateway,
)
from lilong_tools.bench.ble.script import eui_of
from lilong_tools.errors import ProgramMissingError
from lilong_tools.radio.air import Air
from lilong_tools.radio.bluez_bus import ADDRESS_VARIABLE, PrivateBus
from lilong_tools.radio.bluez_daemon import Bluetoothd
from lilong_tools.radio.model import RadioModel
from lilong_tools.runtime import find_dbus_daemon

_VOICES = 100
_INTERVAL_MS = 195.0
"""With the random delay of 0 to 10 ms after each, five a second."""
_SLOT_MS = 0.625
_CHANGE_S = 5.0
_WEAK_DBM = -100
"""Too weak for a visit, unless what waits is old."""
_KEY_BYTES = 16


class _Voice:
    """A node that nobody visits: its advertisement, sealed anew every 5 s."""

    def __init__(self, air: Air, number: int) -> None:
        self.eui = eui_of(number)
        self.key = secrets.token_bytes(_KEY_BYTES)
        self._controller = air.controller(f"voice-{number}")
        air.set_rssi(ADAPTER, self._controller.name, _WEAK_DBM)

    async def run(self) -> None:
        """Advertise for ever."""
        eui = bytes.fromhex(self.eui)
        advertiser = self._controller.advertiser
        advertiser.advertising_interval_min = round(_INTERVAL_MS / _SLOT_MS)
        advertiser.scan_response_data = scan_response(eui)
        for counter, told in enumerate(_news()):
            sealed = seal_advert(self.key, eui, counter, told)
            advertiser.advertising_data = payload(sealed)
            if not advertiser.enabled:
                advertiser.start()
            await asyncio.sleep(_CHANGE_S)


@dataclass(frozen=True, slots=True)
class _Heard:
    """Of some seconds: advertisements offered and heard, processor time of gateway and bench."""

    elapsed_s: float
    offered: float
    heard: int
    fresh: int
    gateway_s: float
    bench_s: float

    def figures(self) -> dict[str, float]:
        """Return them by the second."""
        return {
            "adverts_per_s": round(self.heard / self.elapsed_s, 1),
            "adverts_fresh_per_s": round(self.fresh / self.elapsed_s, 1),
            "adverts_offered_per_s": round(self.offered, 1),
            "cpu_ratio": round(self.gateway_s / self.elapsed_s, 3),
            "bench_cpu_ratio": round(self.bench_s / self.elapsed_s, 3),
        }


async def measure_adverts(listen_s: float, folder: Path, bluez_folder: Path) -> dict[str, Any]:
    """Return the figures of a gateway on a virtual adapter, and of one on BlueZ's D-Bus.

    The latter are missing on a machine without a D-Bus daemon.
    """
    figures: dict[str, Any] = {}
    async with _voices(folder) as air:
        port = await air.serve(ADAPTER)
        gateway = GatewayProcess(on_virtual_adapter(port.address), folder)
        figures |= (await _listen(gateway, air, listen_s)).figures()
        await port.close()
    with contextlib.suppress(ProgramMissingError):
        program = find_dbus_daemon()
        figures["bluez"] = (await _over_bluez(program, listen_s, bluez_folder)).figures()
    return figures


async def _over_bluez(program: Path, listen_s: float, folder: Path) -> _Heard:
    async with _voices(folder) as air, PrivateBus(program) as bus:
        controller = air.controller(ADAPTER)
        hosts = {ADAPTER: Device(name=ADAPTER, host=Host(controller, controller))}
        async with Bluetoothd(bus.address, hosts):
            python = [sys.executable, "-m", "lilong_gateway"]
            command = ["env", f"{ADDRESS_VARIABLE}={bus.address}", *python]
            return await _listen(GatewayProcess(command, folder), air, listen_s)


@contextlib.asynccontextmanager
async def _voices(folder: Path) -> AsyncIterator[Air]:
    """Let a hundred nodes talk, none of whose advertisements collide; write their keys."""
    air = Air(RadioModel(collisions=False, rssi_spread_db=1.0), seed=3)
    voices = [_Voice(air, number) for number in range(_VOICES)]
    write_gateway(folder, {voice.eui: voice.key for voice in voices}, 1)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(voice.run()) for voice in voices]
        try:
            yield air
        finally:
            for task in tasks:
                task.cancel()


async def _listen(gateway: GatewayProcess, air: Air, listen_s: float) -> _Heard:
    """Count from a status that knows all of them to the one at the end."""
    await gateway.start()
    try:
        first = await gateway.status()
        while first["ble"]["nodes"] < _VOICES:
            first = await gateway.status(first["unix_ms"])
        gateway_s, bench_s = gateway.cpu_s, process_s("self")
        await asyncio.sleep(listen_s)
        gateway_s, bench_s = gateway.cpu_s - gateway_s, process_s("self") - bench_s
    finally:
        await gateway.end()
    last = gateway.last_status()
    elapsed_s = (last["unix_ms"] - first["unix_ms"]) / 1000
    heard, repeated = (
        last["ble"]["adverts"][name] - first["ble"]["adverts"][name]
        for name in ("heard", "repeated")
    )
    return _Heard(elapsed_s, _offered(air), heard, heard - repeated, gateway_s, bench_s)


def _offered(air: Air) -> float:
    radios = (radio for name, radio in air.named.items() if name != ADAPTER)
    return sum(radio.advertiser.rate_per_s for radio in radios)


def _news() -> Iterator[Told]:
    """Yield what a node tells, each time something else."""
    waiting = 1
    while True:
        yield Told(
            alarm=False,
            raised=False,
            device_class=1,
            waiting=waiting,
            age_s=0,
            supply_mv=3300,
            channel=0,
            seq=0,
        )
        waiting = 3 - waiting
