import asyncio
import os
import signal
import sys
from contextlib import asynccontextmanager
from pathlib import Path

from bumble.device import Device
from bumble.host import Host

from lilong_tools.radio.bluez_bus import ADDRESS_VARIABLE, PrivateBus
from lilong_tools.radio.bluez_daemon import Bluetoothd

# What several tests are built of lies beside them.
sys.path.insert(0, str(Path(__file__).parent))
from ble_site import Site, until

BOUND_S = 30


class FrozenSite(Site):
    """The gateway on the system's own way to adapters, over a bus that can be stopped."""

    def __init__(self, folder, bus):
        super().__init__(folder)
        self.bus = bus

    async def start(self):
        words = ["-m", "lilong_gateway", "run", "--config", self.folder / "gateway.toml"]
        with (self.folder / "gateway.log").open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *(sys.executable, *words),
                env={**os.environ, ADDRESS_VARIABLE: self.bus.address},
                stderr=log,
            )

    def freeze(self):
        self.bus._process.send_signal(signal.SIGSTOP)

    def thaw(self):
        self.bus._process.send_signal(signal.SIGCONT)


@asynccontextmanager
async def frozen_site(folder, dbus_daemon):
    async with PrivateBus(dbus_daemon) as bus:
        site = FrozenSite(folder, bus)
        controller = site.air.controller("hci0")
        hosts = {"hci0": Device(name="hci0", host=Host(controller, controller))}
        async with Bluetoothd(bus.address, hosts):
            site.add(2, batches=150)
            site.write()
            site.power(*site.nodes)
            await site.start()
            try:
                yield site
            except BaseException:
                print(site.ble(), site.log()[-6000:])
                raise
            finally:
                site.thaw()
                if site.process.returncode is None:
                    site.process.kill()
                await site.process.wait()
                await site.close()


async def test_a_system_that_answers_nothing_for_a_while_costs_visits_and_no_data(
    dbus_daemon, tmp_path
):
    async with frozen_site(tmp_path, dbus_daemon) as site:
        await until(lambda: any(node.open for node in site.nodes))
        site.freeze()
        await until(lambda: site.ble().get("visits"))
        site.thaw()
        await site.drained()


async def test_a_gateway_ends_though_the_system_does_not_answer_amid_a_connect(
    dbus_daemon, tmp_path
):
    async with frozen_site(tmp_path, dbus_daemon) as site:
        await until(lambda: any(node.connection and not node.heard for node in site.nodes))
        site.freeze()
        site.process.terminate()
        async with asyncio.timeout(BOUND_S):
            assert await site.process.wait() == 0
