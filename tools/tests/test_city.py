import asyncio
import contextlib
import json
import logging
import signal
import socket
import sqlite3
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import aiomqtt
import cbor2
import pytest

from lilong_tools.city.address import Address, parse_address
from lilong_tools.city.measures import measure, percentile
from lilong_tools.city.pack import PackError, read_pack
from lilong_tools.city.receipts import Held, merge, receipts_of
from lilong_tools.city.receiver import Receiver
from lilong_tools.city.store import Arrival, CityStore, StoreError
from lilong_tools.errors import ToolError

EUI = "0200000000000001"
TOPIC = f"lilong/site/gw/telemetry/{EUI}"
PATIENCE_S = 30


def entries(seq: int = 0, position: int = 5) -> list[dict[str, object]]:
    return [
        {
            "bn": f"urn:dev:mac:{EUI}:",
            "bt": Decimal("1700000000.5"),
            "batch": f"0000000a.2.{seq}",
            "store": "0badcafe",
            "pos": position,
            "tq": "synced",
            "n": "level",
            "u": "m",
            "v": Decimal("1.250"),
        },
        {"n": "level", "u": "m", "v": Decimal("-0.001"), "t": Decimal("0.25")},
    ]


def as_cbor(pack: list[dict[str, object]]) -> bytes:
    labels = {"bn": -2, "bt": -3, "n": 0, "u": 1, "v": 2, "vb": 4, "t": 6}
    return cbor2.dumps([{labels.get(k, k): v for k, v in entry.items()} for entry in pack])


def as_json(pack: list[dict[str, object]]) -> bytes:
    text = json.dumps(pack, default=lambda number: f"<{number}>")
    return text.replace('"<', "").replace('>"', "").encode()


@pytest.fixture
def store(tmp_path):
    store = CityStore(tmp_path / "city.db")
    yield store
    store.close()


def arrival(seq: int = 0, position: int = 5, payload: bytes | None = None) -> Arrival:
    return Arrival(TOPIC, payload or as_cbor(entries(seq, position)), 1700000001000)


@pytest.mark.parametrize("encode", [as_cbor, as_json])
def test_both_forms_are_read_exactly(encode):
    pack = read_pack(encode(entries()))
    assert (pack.eui, pack.batch, pack.store, pack.position) == (
        EUI,
        "0000000a.2.0",
        "0badcafe",
        5,
    )
    assert [(r.name, r.unit, r.time, r.value) for r in pack.records] == [
        ("level", "m", Decimal("1700000000.5"), Decimal("1.25")),
        ("level", "m", Decimal("1700000000.75"), Decimal("-0.001")),
    ]


def test_a_boolean_is_0_or_1():
    pack = entries()
    pack[1] = {"n": "door", "vb": True}
    assert read_pack(as_cbor(pack)).records[1].value == 1


@pytest.mark.parametrize(
    "change",
    [
        {"bn": "urn:dev:mac:xyz:"},
        {"batch": "0000000a.4.0"},
        {"batch": "0000000a.2.01"},
        {"batch": 5},
        {"store": "BADCAFE0"},
        {"pos": -1},
        {"pos": True},
        {"pos": "5"},
        {"tq": "guessed"},
        {"tq": []},
        {"bt": 0},
        {"bt": "now"},
        {"n": ""},
        {"n": 7},
        {"v": "1"},
        {"v": Decimal("1e99")},
    ],
)
@pytest.mark.parametrize("encode", [as_cbor, as_json])
def test_a_pack_with_a_wrong_field_is_refused(encode, change):
    pack = entries()
    pack[0].update(change)
    with pytest.raises(PackError):
        read_pack(encode(pack))


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"[",
        b"[]",
        b"{}",
        b"[1]",
        b"\xff",
        b"\x80",
        b"\x81" * 9999,
        b"[" * 99999,
        b'[{"v":NaN}]',
        b"\xa1\x02\x03",
        b"\x81\xa1\x18\x63\x00",
        b"\xc4\x82\x01\x61a",
        b"x" * 300_000,
        b"[1" + b"1" * 9999 + b"]",
    ],
)
def test_foreign_bytes_are_refused_as_such(payload):
    with pytest.raises(PackError):
        read_pack(payload)


def test_positions_merge_into_closed_ranges():
    assert merge([7, 3, 1, 2, 3, 9]) == [(1, 3), (7, 7), (9, 9)]
    assert merge([]) == []


def test_each_gateway_and_store_has_its_own_receipt():
    held = [
        Held("s", "a", "1", 4),
        Held("s", "b", "1", 4),
        Held("s", "a", "1", 5),
        Held("s", "a", "2", 4),
    ]
    receipts = {(r.gateway, r.store): r.positions for r in receipts_of(held)}
    assert receipts == {("a", "1"): ((4, 5),), ("b", "1"): ((4, 4),), ("a", "2"): ((4, 4),)}
    (first, *_) = receipts_of(held)
    assert first.topic("x/y") == "x/y/s/a/receipt"
    assert json.loads(first.payload()) == {"store": "1", "positions": [[4, 5]]}


def test_a_batch_is_stored_once_and_receipted_each_time(store, tmp_path):
    assert [h.position for h in store.commit([arrival(), arrival(position=6)])] == [5, 6]
    assert [h.position for h in store.commit([arrival(position=7)])] == [7]
    measures = measure(tmp_path / "city.db")
    assert (measures.batches, measures.readings, measures.repeats) == (1, 2, 2)
    assert measures.latency_ms_p50 == 250


def test_what_could_not_be_committed_is_not_held_and_may_come_again(store, tmp_path):
    with contextlib.closing(sqlite3.connect(tmp_path / "city.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError):
            store.commit([arrival()])
        other.execute("ROLLBACK")
    assert len(store.commit([arrival()])) == 1
    assert measure(tmp_path / "city.db").repeats == 0


def test_malformed_messages_are_set_aside_without_a_receipt(store, tmp_path):
    held = store.commit([arrival(payload=b"junk"), arrival(), Arrival("lilong/x", b"", 0)])
    assert len(held) == 1
    assert measure(tmp_path / "city.db").aside == 2


def test_a_batch_on_the_topic_of_another_node_is_refused(store, tmp_path):
    foreign = Arrival(f"lilong/site/gw/telemetry/{'f' * 16}", arrival().payload, 0)
    assert store.commit([foreign]) == [Held("site", "gw", "0badcafe", 5, refused=True)]
    assert measure(tmp_path / "city.db").aside == 1


def test_the_set_aside_are_bounded_and_still_counted(store, tmp_path):
    store.commit([arrival(payload=b"junk")] * 1200)
    with contextlib.closing(sqlite3.connect(tmp_path / "city.db")) as database:
        assert database.execute("SELECT count(*) FROM aside").fetchone() == (1000,)
    assert measure(tmp_path / "city.db").aside == 1200


def test_gaps_in_the_sequence_show_as_incomplete(store, tmp_path):
    store.commit([arrival(seq, seq) for seq in (0, 1, 4)])
    measures = measure(tmp_path / "city.db")
    assert (measures.gaps, measures.complete) == (2, 0.6)


def test_the_percentile_is_the_nearest_rank():
    assert percentile([], 50) is None
    assert percentile([1, 2, 3, 4], 50) == 2
    assert percentile(list(range(1, 101)), 99) == 99


def test_the_identity_survives_and_one_file_serves_one_city(tmp_path):
    store = CityStore(tmp_path / "c.db")
    identity = store.identity
    with pytest.raises(ToolError, match="in use by another city"):
        CityStore(tmp_path / "c.db")
    store.close()
    again = CityStore(tmp_path / "c.db")
    assert again.identity == identity
    again.close()


def test_a_store_that_cannot_be_opened_is_one_clear_error(tmp_path):
    with pytest.raises(ToolError, match="cannot be used"):
        CityStore(tmp_path / "none" / "c.db")
    (tmp_path / "text.db").write_text("not a database, " * 100)
    with pytest.raises(ToolError, match="not a database"):
        CityStore(tmp_path / "text.db")


@pytest.mark.parametrize(
    ("text", "address"),
    [("h", ("h", 1883)), ("h:1", ("h", 1)), ("[::1]:5", ("::1", 5)), ("[::1]", ("::1", 1883))],
)
def test_an_address_is_host_and_port(text, address):
    parsed = parse_address(text)
    assert (parsed.host, parsed.port) == address


@pytest.mark.parametrize("text", ["", ":1", "h:0", "h:65536", "h:x", "h:"])
def test_a_wrong_address_is_refused(text):
    with pytest.raises(ToolError, match="HOST:PORT"):
        parse_address(text)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Program:
    """A child process of the test, started again on request."""

    def __init__(self, *words: object) -> None:
        self._words = [sys.executable, "-m", *map(str, words)]
        self.process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        self.process = await asyncio.create_subprocess_exec(
            *self._words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
        )

    async def end(self, number: int = signal.SIGKILL) -> bytes:
        assert self.process is not None
        self.process.send_signal(number)
        output, _ = await asyncio.wait_for(self.process.communicate(), PATIENCE_S)
        return output


@contextlib.asynccontextmanager
async def running(*words: object):
    program = Program(*words)
    await program.start()
    try:
        yield program
    finally:
        if program.process is not None and program.process.returncode is None:
            await program.end()


async def open_port(port: int) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                await writer.wait_closed()
                return
            await asyncio.sleep(0.05)


class Outbox:
    """A stand-in for a gateway's uplink: publishes until receipted, as the contract says."""

    def __init__(self, port: int, total: int) -> None:
        self._port = port
        self._waiting = set(range(total))
        self.receipts = 0

    async def run(self) -> None:
        while self._waiting:
            with contextlib.suppress(aiomqtt.MqttError):
                async with aiomqtt.Client(
                    "127.0.0.1", self._port, identifier="gw", clean_session=False
                ) as client:
                    await client.subscribe("lilong/site/gw/receipt", qos=1)
                    await asyncio.gather(self._send(client), self._listen(client))
            await asyncio.sleep(0.1)

    async def _send(self, client: aiomqtt.Client) -> None:
        while self._waiting:
            for seq in sorted(self._waiting)[:50]:
                await client.publish(TOPIC, as_cbor(entries(seq, seq)), qos=1)
            await asyncio.sleep(0.3)

    async def _listen(self, client: aiomqtt.Client) -> None:
        async for message in client.messages:
            self.receipts += 1
            for first, last in json.loads(message.payload)["positions"]:
                self._waiting -= set(range(first, last + 1))
            if not self._waiting:
                return


async def test_a_city_that_is_killed_and_a_broker_that_is_killed_lose_nothing(tmp_path):
    port, path = free_port(), tmp_path / "city.db"
    outbox = Outbox(port, 150)
    async with (
        running(
            "lilong_tools", "city", "--broker", f"127.0.0.1:{port}", "--db", path, "--json"
        ) as city,
        running("lilong_tools.broker", "127.0.0.1", port) as broker,
    ):
        work = asyncio.create_task(outbox.run())
        for victim in (city, broker, city):
            seen = outbox.receipts
            async with asyncio.timeout(PATIENCE_S):
                while outbox.receipts < seen + 2 and not work.done():
                    await asyncio.sleep(0.02)
            await victim.end()
            await victim.start()
        await asyncio.wait_for(work, 3 * PATIENCE_S)
        measures = json.loads(await city.end(signal.SIGTERM))
    assert (measures["batches"], measures["readings"]) == (150, 300)
    assert (measures["gaps"], measures["aside"]) == (0, 0)


async def test_the_receiver_outlives_a_broker_that_hangs(tmp_path, store):
    silent = socket.create_server(("127.0.0.1", 0))
    broker = Address("127.0.0.1", silent.getsockname()[1])
    receiver = Receiver(store, broker, "lilong", "+", logging.getLogger("t"))
    work = asyncio.create_task(receiver.run())
    done, _ = await asyncio.wait({work}, timeout=1)
    silent.close()
    assert not done
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)
    receiver.close()


async def test_the_broker_keeps_sessions_wills_and_retained_messages():
    port = free_port()
    async with running("lilong_tools.broker", "127.0.0.1", port):
        await open_port(port)

        def client(name: str, **more: object) -> aiomqtt.Client:
            return aiomqtt.Client("127.0.0.1", port, identifier=name, **more)

        async with client("keeper", clean_session=False) as keeper:
            await keeper.subscribe("t/#", qos=1)
        await asyncio.sleep(2.5)
        async with client("sender") as sender:
            await sender.publish("t/one", b"1", qos=1)
            await sender.publish("state", b"on", qos=1, retain=True)
        async with client("keeper", clean_session=False) as keeper:
            async with asyncio.timeout(PATIENCE_S):
                assert (await anext(keeper.messages)).payload == b"1"
            await keeper.subscribe("state", qos=1)
            async with asyncio.timeout(PATIENCE_S):
                assert (await anext(keeper.messages)).payload == b"on"
            code = (
                "import asyncio,aiomqtt,os\n"
                "async def main():\n"
                " will = aiomqtt.Will('t/will', b'gone', 1)\n"
                f" async with aiomqtt.Client('127.0.0.1', {port}, will=will):\n"
                "  os.kill(os.getpid(), 9)\n"
                "asyncio.run(main())"
            )
            dying = await asyncio.create_subprocess_exec(sys.executable, "-c", code)
            await dying.wait()
            async with asyncio.timeout(PATIENCE_S):
                assert (await anext(keeper.messages)).payload == b"gone"


async def test_an_idle_city_ends_and_prints_what_it_measured(tmp_path):
    port = free_port()
    async with running(
        "lilong_tools",
        "city",
        "--broker",
        f"127.0.0.1:{port}",
        "--db",
        tmp_path / "c.db",
        "--once-idle",
        "0.3",
    ) as city:
        output, _ = await asyncio.wait_for(city.process.communicate(), PATIENCE_S)
    assert output.startswith(b"0 readings in 0 batches")
    assert city.process.returncode == 0


def test_percentages_of_nothing_are_complete(tmp_path):
    CityStore(tmp_path / "c.db").close()
    assert measure(tmp_path / "c.db").complete == 1.0


def one(**fields: object) -> bytes:
    pack = entries()
    pack[0].update(fields)
    return as_json(pack)


LONG = cbor2.dumps([{-2: f"urn:dev:mac:{EUI}:", 0: "level", 2: 1 << 400_000}])


@pytest.mark.parametrize(
    "payload",
    [
        one(n="\ud800", bt=0),
        one(bt=9_223_372_036_854_775),
        one(bt=Decimal("1.8e19")),
        one(batch="x" * 200_000),
        one(tq="\ud800"),
        LONG,
    ],
)
def test_no_message_can_stop_the_city(store, tmp_path, payload):
    held = store.commit([arrival(payload=payload), arrival()])
    assert [one for one in held if not one.refused] == [Held("site", "gw", "0badcafe", 5)]
    with contextlib.closing(sqlite3.connect(tmp_path / "city.db")) as database:
        ((problem,),) = database.execute("SELECT problem FROM aside").fetchall()
    assert len(problem) < 200


def test_a_label_that_is_empty_is_passed_over(store):
    assert len(store.commit([arrival(payload=one(**{"": 1}))])) == 1


@contextlib.asynccontextmanager
async def receiving(store: CityStore, port: int):
    receiver = Receiver(store, Address("127.0.0.1", port), "lilong", "+", logging.getLogger("t"))
    work = asyncio.create_task(receiver.run())
    try:
        yield receiver
    finally:
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
        receiver.close()


async def until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not true():
            await asyncio.sleep(0.02)


@contextlib.contextmanager
def locked(path: Path):
    """Let nobody else write into a database."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


async def test_what_is_not_committed_stays_with_the_broker(tmp_path, store, mosquitto):
    port, path = free_port(), tmp_path / "city.db"
    store._database.execute("PRAGMA busy_timeout = 50")
    broker = await asyncio.create_subprocess_exec(
        mosquitto, "-p", str(port), stderr=asyncio.subprocess.DEVNULL
    )
    await open_port(port)
    async with receiving(store, port) as receiver, aiomqtt.Client("127.0.0.1", port) as gateway:
        while not measure(path).batches:
            await gateway.publish(TOPIC, arrival().payload, qos=1)
            await asyncio.sleep(0.1)
        with locked(path):
            before = receiver.last_arrival_s
            await gateway.publish(TOPIC, arrival(1, 6).payload, qos=1)
            await until(lambda: receiver.last_arrival_s > before)
            await asyncio.sleep(0.2)
            await gateway.publish(TOPIC, arrival(2, 7).payload, qos=1)
            assert measure(path).batches == 1
        await until(lambda: measure(path).batches == 3)
    broker.kill()
    await broker.wait()


async def test_what_a_city_took_and_never_committed_comes_to_the_next_one(
    tmp_path, store, mosquitto
):
    port, path = free_port(), tmp_path / "city.db"
    store._database.execute("PRAGMA busy_timeout = 50")
    broker = await asyncio.create_subprocess_exec(
        mosquitto, "-p", str(port), stderr=asyncio.subprocess.DEVNULL
    )
    await open_port(port)
    async with aiomqtt.Client("127.0.0.1", port) as gateway:
        with contextlib.ExitStack() as held:
            async with receiving(store, port) as receiver:
                while not measure(path).batches:
                    await gateway.publish(TOPIC, arrival().payload, qos=1)
                    await asyncio.sleep(0.1)
                held.enter_context(locked(path))
                before = receiver.last_arrival_s
                await gateway.publish(TOPIC, arrival(1, 6).payload, qos=1)
                await until(lambda: receiver.last_arrival_s > before)
        assert measure(path).batches == 1
        async with receiving(store, port):
            await until(lambda: measure(path).batches == 2)
    broker.kill()
    await broker.wait()
