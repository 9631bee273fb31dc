import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from certificates import Authority
from sink_site import DESCRIPTION, EUI, Eventually, batches, city, fill, running, several

from lilong_gateway.config import Uplink as Settings
from lilong_gateway.store.records import Arrival, Slot
from lilong_gateway.store.store import Store
from lilong_protocol.blocks import encode_series

OTHER = bytes.fromhex("0a1b2c3d4e5f6072")
Configured = Callable[[int, str], None]


@pytest.fixture
def configured_broker(mosquitto: Path, tmp_path: Path) -> Iterator[Configured]:
    """Starts Mosquitto on a given port with more lines of configuration."""
    started: list[subprocess.Popen[bytes]] = []

    def start(port: int, more: str) -> None:
        file = tmp_path / "mosquitto.conf"
        file.write_text(f"listener {port} 127.0.0.1\n{more}\nuser root\n")
        command = [str(mosquitto), "-c", str(file)]
        log = (tmp_path / "mosquitto.log").open("wb")
        process = subprocess.Popen(command, stdout=log, stderr=log)
        log.close()
        started.append(process)
        while process.poll() is None:
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.1):
                return
        raise RuntimeError((tmp_path / "mosquitto.log").read_text())

    yield start
    for process in started:
        process.kill()
        process.wait()


def tls(authority: Authority, broker: Path) -> str:
    return (
        f"cafile {authority.file}\ncertfile {broker}\nkeyfile {broker.with_suffix('.key')}\n"
        "require_certificate true\nuse_identity_as_username true\nallow_anonymous false"
    )


@pytest.mark.parametrize("version", ["5", "3.1.1"])
async def test_batches_arrive_over_tls_with_certificates_of_both_sides(
    tmp_path: Path,
    free_port: int,
    configured_broker: Configured,
    eventually: Eventually,
    version: str,
) -> None:
    authority = Authority(tmp_path)
    configured_broker(free_port, tls(authority, authority.issue("broker")))
    client = authority.issue("gateway")
    options = {"ca_file": authority.file, "cert_file": client, "tls": True, "version": version}
    options["key_file"] = client.with_suffix(".key")
    await fill(tmp_path / "data", DESCRIPTION, *batches(0, 2000, readings=20))
    async with running(tmp_path / "data", free_port, **options) as site:
        await eventually(lambda: site.uplink.waiting == 0)
        assert (site.uplink.connected, site.uplink.confirmed) == (version, 2000)


async def test_a_broker_that_nobody_vouches_for_is_sent_nothing(
    tmp_path: Path, free_port: int, configured_broker: Configured, eventually: Eventually
) -> None:
    authority, other = Authority(tmp_path), Authority(tmp_path, "other")
    configured_broker(free_port, tls(authority, authority.issue("broker")))
    client = authority.issue("gateway")
    options = {"ca_file": other.file, "cert_file": client, "tls": True}
    options["key_file"] = client.with_suffix(".key")
    async with running(tmp_path / "data", free_port, **options) as site:
        await eventually(lambda: "CERTIFICATE_VERIFY_FAILED" in site.uplink.trouble)
        assert site.uplink.counters.messages == 0


async def test_without_the_certificate_that_a_broker_asks_for_the_sink_waits(
    tmp_path: Path, free_port: int, configured_broker: Configured, eventually: Eventually
) -> None:
    authority = Authority(tmp_path)
    configured_broker(free_port, tls(authority, authority.issue("broker")))
    options = {"ca_file": authority.file, "tls": True}
    async with running(tmp_path / "data", free_port, **options) as site:
        await site.put(DESCRIPTION, *batches(0, 2))
        await eventually(lambda: site.uplink.trouble)
        assert site.uplink.confirmed == 0


async def test_messages_are_no_longer_than_the_broker_takes(
    tmp_path: Path, free_port: int, configured_broker: Configured, eventually: Eventually
) -> None:
    configured_broker(free_port, "allow_anonymous true\nmax_packet_size 3000")
    giant = Arrival(
        Slot(EUI, 7, 2, 400),
        encode_series(0, [1000 * n for n in range(1, 300)], [7 * n for n in range(1, 300)]),
        *(299, None, 0, 1),
    )
    folder = tmp_path / "data"
    await fill(folder, DESCRIPTION, *batches(0, 400), giant, *batches(401, 400))
    async with running(folder, free_port) as site, city(site, free_port):
        await eventually(lambda: site.uplink.waiting == 0)
        assert (site.uplink.confirmed, site.uplink.counters.refused) == (800, 1)
        await eventually(lambda: len(site.positions) == 800)
        assert site.uplink.counters.losses == 0
        assert max(len(payload) for payload in site.received) < 3000
        assert len(site.received) < 700
    store = Store(folder)
    assert (await store.summary()).quarantined == 1
    await store.close()


async def test_a_topic_that_the_broker_refuses_is_named_and_others_go_on(
    tmp_path: Path, free_port: int, configured_broker: Configured, eventually: Eventually
) -> None:
    rules = tmp_path / "rules"
    rules.write_text(
        f"topic read #\ntopic readwrite lilong/s/g/telemetry/{EUI.hex()}\n"
        "topic readwrite lilong/s/g/status\ntopic readwrite lilong/s/g/health\n"
    )
    rules.chmod(0o644)
    configured_broker(free_port, f"allow_anonymous true\nacl_file {rules}")
    refused = [
        Arrival(Slot(OTHER, 1, 2, seq), encode_series(0, [1000, 2000], [0, seq]), 2, None, 0, 1)
        for seq in range(2)
    ]
    await fill(tmp_path / "data", DESCRIPTION)
    async with running(tmp_path / "data", free_port) as site:
        await site.store.commit([replace(DESCRIPTION, eui=OTHER)])
        await site.put(refused[0], *batches(0, 10), refused[1], *batches(10, 10))
        await eventually(lambda: site.uplink.confirmed == 20)
        topic = f"lilong/s/g/telemetry/{OTHER.hex()}"
        assert site.uplink.trouble == f"the broker refuses {topic}: Not authorized"
        assert site.uplink.waiting == 2
        assert site.uplink.connected == "5"
        assert site.uplink.counters.losses == 0


async def test_two_sinks_at_one_broker_do_not_take_over_each_others_session(
    tmp_path: Path, free_port: int, full_broker: Any, eventually: Eventually
) -> None:
    full_broker(free_port)
    sinks = [
        Settings("127.0.0.1", free_port, name=name, prefix=name) for name in ("city", "other")
    ]
    async with several(tmp_path, sinks) as site:
        await site.put(DESCRIPTION, *batches(0, 50))
        await eventually(lambda: all(one.confirmed == 50 for one in site.uplinks.sinks))
        assert [one.counters.connections for one in site.uplinks.sinks] == [1, 1]
