"""A program with plain bleak: takes commands (JSON lines), answers each; for tests of radios."""

import asyncio
import contextlib
import json
import sys
import time

from bleak import BleakClient, BleakScanner
from bleak.exc import BleakError

from lilong_protocol.advert import COMPANY, DOWN, UP

PATIENCE_S = 15


class Central:
    """One scanner, one client; what they report is kept until it is asked for."""

    def __init__(self):
        self.scanner = self.client = self.device = None
        self.adverts, self.values, self.drops = [], [], 0
        self.changed = asyncio.Event()

    def heard(self, device, data):
        self.device = device
        told = data.manufacturer_data.get(COMPANY, b"").hex()
        self.adverts.append([told, data.local_name, data.service_uuids, data.rssi, device.address])
        self.changed.set()

    def notified(self, _, value):
        self.values.append(value.hex())
        self.changed.set()

    def dropped(self, _):
        self.drops += 1
        self.changed.set()

    async def until(self, done):
        """Wait until `done` gives something."""
        async with asyncio.timeout(PATIENCE_S):
            while not (found := done()):
                self.changed.clear()
                await self.changed.wait()
        return found

    async def scan(self, mode="active", **filters):
        extra = {"or_patterns": [(0, 0xFF, b"\xff\xff")]} if mode == "passive" else {}
        self.adverts.clear()
        self.scanner = BleakScanner(
            self.heard, scanning_mode=mode, bluez={"adapter": "hci0", "filters": filters, **extra}
        )
        await self.scanner.start()

    async def adapter_back(self):
        """Wait until the adapter can scan again."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                with contextlib.suppress(BleakError):
                    await self.scan()
                    return await self.rest()
                await asyncio.sleep(0.05)

    async def rest(self):
        await self.scanner.stop()

    async def advert(self, data):
        """Wait for an advertisement with this manufacturer data."""
        found = await self.until(lambda: [each for each in self.adverts if each[0] == data])
        return found[-1]

    async def adverts_in(self, seconds):
        """How many came in that time, and how much of a core the process took."""
        self.adverts.clear()
        began, spent = time.monotonic(), time.process_time()
        await asyncio.sleep(seconds)
        elapsed = time.monotonic() - began
        return [len(self.adverts), (time.process_time() - spent) / elapsed]

    async def connect(self, seconds=PATIENCE_S, cached=False):
        self.client = BleakClient(self.device, self.dropped, timeout=seconds)
        await self.client.connect(dangerous_use_bleak_cache=cached)
        up = self.client.services.get_characteristic(UP)
        down = self.client.services.get_characteristic(DOWN)
        return [up.properties, down.properties, down.max_write_without_response_size]

    async def acquire_mtu(self):
        await self.client._backend._acquire_mtu()
        return self.client.mtu_size

    async def notify(self, socket=False):
        self.values.clear()
        bluez = {"use_start_notify": not socket}
        await self.client.start_notify(UP, self.notified, bluez=bluez)

    async def unnotify(self):
        await self.client.stop_notify(UP)

    async def received(self, count):
        """Wait for so many notified values; all of them."""
        await self.until(lambda: len(self.values) >= count)
        return self.values

    async def read(self, uuid):
        return (await self.client.read_gatt_char(uuid)).hex()

    async def write(self, data, response):
        await self.client.write_gatt_char(DOWN, bytes.fromhex(data), response=response)

    async def disconnect(self):
        await self.client.disconnect()

    async def lost(self, count=1):
        """Wait for the disconnected callback; whether the client knows."""
        await self.until(lambda: self.drops >= count)
        return self.client.is_connected


async def run():
    central = Central()
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=2**22)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        name, options = json.loads(line)
        try:
            answer = {"answer": await getattr(central, name)(**options)}
        except (BleakError, TimeoutError) as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(run())
