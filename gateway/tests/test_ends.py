"""How a gateway lives and ends: real processes, real signals, a real watchdog."""

import asyncio
import http.client
import json
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from manager import Manager

from lilong_gateway.store.store import Store

EUI = bytes.fromhex("0a1b2c3d4e5f6071")
KEY = bytes(range(16))
FAULTY = str(Path(__file__).parent / "faulty_gateway.py")
GATEWAY = ("-m", "lilong_gateway", "run", "--config")
WATCHDOG_S = 3.0

Eventually = Callable[[Callable[[], object]], Any]


class Site:
    """A folder with all that a gateway needs."""

    def __init__(self, folder: Path, broker_port: int, http_port: int) -> None:
        self.folder = folder
        self.config = folder / "gateway.toml"
        self.mark = folder / "mark"
        self.log = folder / "log"
        self.broker_port = broker_port
        self.http_port = http_port
        self.processes: list[subprocess.Popen[bytes]] = []
        keys = folder / "nodes.toml"
        keys.write_text(f'[keys]\n"{EUI.hex()}" = "{KEY.hex()}"\n', encoding="utf-8")
        keys.chmod(0o600)

    def write(self, *ports: str, more: str = "", uplink: str = "") -> None:
        self.config.write_text(
            f"""
[gateway]
id = "g"
site = "s"
data = "data"
[nodes]
keys = "nodes.toml"
[serial]
ports = {json.dumps(ports)}
scan_s = 0.1
[uplink]
host = "127.0.0.1"
port = {self.broker_port}
{uplink}
[http]
port = {self.http_port}
{more}
""",
            encoding="utf-8",
        )

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            process = subprocess.Popen([sys.executable, *arguments], stderr=log)
        self.processes.append(process)
        return process

    def run(self) -> subprocess.Popen[bytes]:
        return self.start(*GATEWAY, str(self.config))

    def faulty(self, fault: str) -> tuple[str, ...]:
        return (FAULTY, str(self.config), fault, str(self.mark))

    def told(self) -> str:
        return self.log.read_text(encoding="utf-8") if self.log.exists() else ""

    def health(self) -> tuple[int, dict[str, Any]]:
        try:
            status, body = self.get("/healthz")
        except OSError:
            return 0, {"state": "", "reasons": []}
        return status, json.loads(body)

    def get(self, path: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.http_port, timeout=10)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()


@pytest.fixture
def site(tmp_path: Path, free_port: int) -> Iterator[Site]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        http_port = int(probe.getsockname()[1])
    made = Site(tmp_path, free_port, http_port)
    yield made
    for process in made.processes:
        process.kill()
        process.wait()


@pytest.fixture
def manager(site: Site) -> Iterator[Callable[..., Manager]]:
    made: list[Manager] = []

    def make(*arguments: str, watchdog_s: float = WATCHDOG_S) -> Manager:
        made.append(Manager(site.folder, watchdog_s, *arguments))
        made[-1].start()
        return made[-1]

    yield make
    for each in made:
        each.end()


async def end_of(process: subprocess.Popen[bytes]) -> int:
    return await asyncio.to_thread(process.wait, 20)


@pytest.mark.parametrize(("fault", "why"), [("duty", "ingest"), ("loop", "event loop")])
async def test_what_hangs_is_told_killed_and_started_anew_and_no_batch_is_lost(
    make_node: Any,
    site: Site,
    manager: Callable[..., Manager],
    eventually: Eventually,
    fault: str,
    why: str,
) -> None:
    node = make_node()
    site.write(node.port)
    watching = manager(*site.faulty(fault))
    node.fill(20)
    task = asyncio.create_task(node.run())
    reasons: list[str] = []

    def is_dead() -> bool:
        status, told = site.health()
        reasons[:] = [reason["what"] for reason in told["reasons"]]
        return (status, told["state"]) == (503, "dead")

    await eventually(is_dead)
    assert why in reasons[0]
    await eventually(lambda: node.session.idle)
    assert watching.killed == 1
    assert watching.starts == 2
    assert watching.said.count("READY=1") == 2
    task.cancel()


async def test_an_outage_of_the_broker_is_degraded_and_nobody_is_killed_for_it(
    make_node: Any, site: Site, manager: Callable[..., Manager], eventually: Eventually
) -> None:
    node = make_node()
    site.write(node.port)
    watching = manager(*GATEWAY, str(site.config), watchdog_s=2.0)
    task = asyncio.create_task(node.run())
    node.fill(3)
    await eventually(lambda: node.session.idle)
    await eventually(lambda: watching.said.count("WATCHDOG=1") > 12)
    status, told = site.health()
    assert (status, told["state"]) == (200, "degraded")
    assert "sink city" in told["reasons"][0]["what"]
    assert any(words.startswith("STATUS=degraded: sink city") for words in watching.said)
    assert (watching.killed, watching.starts) == (0, 1)
    task.cancel()


async def test_metrics_and_page_tell_what_came_from_where(
    make_node: Any, site: Site, eventually: Eventually
) -> None:
    node = make_node()
    site.write(node.port)
    site.run()
    node.fill(5)
    task = asyncio.create_task(node.run())
    sample = f'lilong_source_batches_total{{source="{node.port}"}} 5.0'
    await eventually(
        lambda: site.health()[0] == 200 and sample in site.get("/metrics")[1].decode()
    )
    metrics = site.get("/metrics")[1].decode()
    assert "lilong_ingest_batches_total 5.0" in metrics
    assert 'lilong_sink_connected{sink="city"} 0.0' in metrics
    assert "process_resident_memory_bytes" in metrics
    page = site.get("/")[1].decode()
    assert node.port in page
    assert "batches wait, none is lost" in page
    for text in (metrics, page):
        assert EUI.hex() not in text
        assert KEY.hex() not in text
    assert site.get("/etc/passwd")[0] == 404
    task.cancel()


async def test_a_broker_that_falls_silent_does_not_hold_the_end_up(
    site: Site, mqtt5_server: Any, eventually: Eventually
) -> None:
    server = mqtt5_server()
    listening = await server.listen(site.broker_port)
    site.write("/dev/ttyX")
    process = site.run()
    await eventually(lambda: "uplink connected" in site.told() or server.versions)
    server.silent = True
    process.send_signal(signal.SIGTERM)
    assert await end_of(process) == 0
    listening.close()
    await server.hang_up()


async def test_a_store_that_hangs_is_left_behind_with_what_it_holds(
    make_node: Any, site: Site, eventually: Eventually
) -> None:
    node = make_node()
    site.write(node.port)
    process = site.start(*site.faulty("thread"))
    task = asyncio.create_task(node.run())
    node.fill(5)
    await eventually(site.mark.exists)
    process.send_signal(signal.SIGTERM)
    assert await end_of(process) == 0
    assert "left behind what does not end" in site.told()
    assert not node.session.idle
    again = site.start(*site.faulty("thread"))
    await eventually(lambda: node.session.idle)
    again.send_signal(signal.SIGTERM)
    assert await end_of(again) == 0
    task.cancel()


async def test_an_event_loop_that_hangs_ends_all_the_same(
    make_node: Any, site: Site, eventually: Eventually
) -> None:
    node = make_node()
    site.write(node.port)
    process = site.start(*site.faulty("loop"))
    task = asyncio.create_task(node.run())
    node.fill(1)
    await eventually(site.mark.exists)
    process.send_signal(signal.SIGTERM)
    assert await end_of(process) == 0
    task.cancel()


async def test_a_second_signal_ends_at_once(
    make_node: Any, site: Site, eventually: Eventually
) -> None:
    node = make_node()
    site.write(node.port)
    process = site.start(*site.faulty("thread"))
    task = asyncio.create_task(node.run())
    node.fill(1)
    await eventually(site.mark.exists)
    process.send_signal(signal.SIGTERM)
    await asyncio.sleep(0.5)
    process.send_signal(signal.SIGTERM)
    assert await end_of(process) == 1
    assert "left behind" not in site.told()
    task.cancel()


async def test_what_is_accepted_is_committed_before_the_end(
    make_node: Any, site: Site, eventually: Eventually
) -> None:
    node = make_node()
    site.write(node.port)
    process = site.start(*site.faulty("slow"))
    node.fill(3)
    task = asyncio.create_task(node.run())
    await eventually(site.mark.exists)
    process.send_signal(signal.SIGTERM)
    assert await end_of(process) == 0
    task.cancel()
    store = Store(site.folder / "data")
    await store.open()
    known = await store.known(EUI, 7, b"")
    await store.close()
    assert known.proven is not None
    assert "left behind" not in site.told()


async def test_a_port_that_hangs_and_clients_that_hang_do_not_hold_the_end_up(
    site: Site, eventually: Eventually
) -> None:
    deaf = socket.create_server(("127.0.0.1", 0), backlog=0)
    address = deaf.getsockname()
    fillers = [socket.socket() for _ in range(4)]
    for filler in fillers:
        filler.setblocking(False)
        filler.connect_ex(address)
    site.write(f"socket://127.0.0.1:{address[1]}")
    process = site.run()
    await eventually(lambda: site.health()[0] == 200)
    mute = socket.create_connection(("127.0.0.1", site.http_port))
    process.send_signal(signal.SIGTERM)
    assert await end_of(process) == 0
    assert "Traceback" not in site.told()
    for line in (mute, deaf, *fillers):
        line.close()


async def test_a_json_log_is_one_object_a_line_and_holds_no_secret(
    make_node: Any, site: Site, plain_broker: Any, eventually: Eventually
) -> None:
    plain_broker(site.broker_port)
    password = site.folder / "password"
    password.write_text("correct-horse\n", encoding="utf-8")
    password.chmod(0o600)
    node = make_node()
    site.write(
        node.port,
        "/dev/ttyX",
        uplink='username = "u"\npassword_file = "password"',
        more='[log]\nlevel = "debug"\nformat = "json"',
    )
    process = site.run()
    task = asyncio.create_task(node.run())
    node.fill(3)
    node.say(b"hello from the bootloader\n")
    await eventually(lambda: node.session.idle and "session open" in site.told())
    process.send_signal(signal.SIGTERM)
    assert await end_of(process) == 0
    lines = [json.loads(line) for line in site.told().splitlines()]
    for line in lines:
        assert {"ts", "level", "logger", "event"} <= set(line)
    (opened,) = [line for line in lines if line["event"] == "session open"]
    assert (opened["port"], opened["eui"], opened["level"]) == (node.port, EUI.hex(), "info")
    assert lines[-1]["event"] == "stopped"
    for secret in (KEY.hex(), str(KEY), "correct-horse"):
        assert secret not in site.told()
    task.cancel()
