"""Far ends: nodes on pseudo-terminals, brokers as processes."""

import asyncio
import os
import pty
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from lilong_protocol.blocks import encode_series
from lilong_protocol.descriptor import Channel, encode_descriptor
from lilong_protocol.events import Event, Requested, Synchronised
from lilong_protocol.greeting import Greeting
from lilong_protocol.memory_outbox import MemoryOutbox
from lilong_protocol.node_keys import NodeKeys
from lilong_protocol.node_session import NodeSession
from lilong_protocol.request import UNKNOWN
from lilong_protocol.serial import FrameReader, wrap

Start = Callable[[int], subprocess.Popen[bytes]]
CONNECT, PUBLISH, SUBSCRIBE = 1, 3, 8

# What several tests are built of lies beside them.
sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def free_port() -> int:
    """A TCP port of this machine that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def plain_broker() -> Iterator[Start]:
    """Starts a broker that speaks MQTT 3.1.1 only, on a given port."""
    yield from _processes(
        lambda port: [sys.executable, "-m", "lilong_tools.broker", "127.0.0.1", str(port)]
    )


@pytest.fixture
def full_broker(mosquitto: Path) -> Iterator[Start]:
    """Starts a broker that speaks MQTT 5, on a given port."""
    yield from _processes(lambda port: [str(mosquitto), "-p", str(port)])


def _processes(command: Callable[[int], list[str]]) -> Iterator[Start]:
    started: list[subprocess.Popen[bytes]] = []

    def start(port: int) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            command(port), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        started.append(process)
        while process.poll() is None:
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.1):
                return process
        raise RuntimeError(f"{process.args} ended with status {process.returncode}")

    yield start
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture
def eventually() -> Callable[[Callable[[], object]], "asyncio.Future[None]"]:
    """Waits until something is true; a test that waits too long fails."""

    async def wait(true: Callable[[], object]) -> None:
        async with asyncio.timeout(30):
            while not true():
                await asyncio.sleep(0.01)

    return wait


@pytest.fixture
def mqtt5_server() -> type["Mqtt5Server"]:
    """The class of a broker whose answers a test chooses."""
    return Mqtt5Server


class Mqtt5Server:
    """The least of an MQTT 5 broker, to give answers that a real one gives only under pressure.

    Answers CONNECT with receive_maximum; acknowledges each PUBLISH with puback_reason.

    Answers come a little late, so that messages are in flight together.
    """

    def __init__(self, receive_maximum: int = 65_535, puback_reason: int = 0) -> None:
        self.in_flight = 0
        self.most_in_flight = 0
        self.published: list[bytes] = []
        self.versions: list[int] = []
        self.silent = False
        self.puback_reason = puback_reason
        self._receive_maximum = receive_maximum
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: list[asyncio.StreamWriter] = []

    async def hang_up(self) -> None:
        """End every connection."""
        for writer in self._writers:
            writer.close()
        self._writers.clear()

    async def listen(self, port: int) -> asyncio.Server:
        """Listen on a port of this machine."""
        return await asyncio.start_server(self.serve, "127.0.0.1", port)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        try:
            while True:
                head = (await reader.readexactly(1))[0]
                await self._answer(head, await _body(reader), writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def _answer(self, head: int, body: bytes, writer: asyncio.StreamWriter) -> None:
        kind = head >> 4
        if kind == CONNECT:
            self.versions.append(body[6])
            writer.write(
                bytes([0x20, 6, 0, 0, 3, 0x21]) + self._receive_maximum.to_bytes(2, "big")
            )
        elif kind == SUBSCRIBE:
            writer.write(bytes([0x90, 4]) + body[:2] + bytes([0, 1]))
        elif kind == PUBLISH and not self.silent:
            self._later(self._puback(body, writer))

    async def _puback(self, body: bytes, writer: asyncio.StreamWriter) -> None:
        size = int.from_bytes(body[:2], "big")
        topic, number = body[2 : 2 + size], body[2 + size : 4 + size]
        telemetry = b"/telemetry/" in topic
        self.in_flight += telemetry
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        await asyncio.sleep(0.02)
        self.in_flight -= telemetry
        reason = self.puback_reason if telemetry else 0
        if telemetry and not reason:
            self.published.append(body)
        writer.write(bytes([0x40, 4]) + number + bytes([reason, 0]))

    def _later(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _body(reader: asyncio.StreamReader) -> bytes:
    size = shift = 0
    while True:
        byte = (await reader.readexactly(1))[0]
        size |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return await reader.readexactly(size)


@pytest.fixture
def make_node() -> Iterator[Callable[..., "Node"]]:
    """Makes nodes, each on a pseudo-terminal of its own."""
    made: list[Node] = []

    def make(key: bytes = bytes(range(16)), epoch: int = 7, **more: object) -> Node:
        made.append(Node(key, epoch, **more))
        return made[-1]

    yield make
    for node in made:
        node.unplug()


def _knows_nothing(_method: int, _body: bytes) -> tuple[int, bytes]:
    """Answer as firmware that knows no method but those of the protocol itself."""
    return UNKNOWN, b""


class Node:
    """A node whose port is the near end of a pseudo-terminal.

    answer does what a gateway asks for. A node that is restarted says HELLO with the next boot.
    """

    def __init__(
        self,
        key: bytes,
        epoch: int,
        eui: bytes = bytes.fromhex("0a1b2c3d4e5f6071"),
        answer: Callable[[int, bytes], tuple[int, bytes]] = _knows_nothing,
    ) -> None:
        self._master, slave = pty.openpty()
        self.port = os.ttyname(slave)
        os.close(slave)
        os.set_blocking(self._master, False)
        self.outbox = MemoryOutbox(epoch)
        self.keys = NodeKeys(key)
        self.boots = 9
        self.clocks: list[int] = []
        self._eui = eui
        self._answer = answer
        self._restarts = False
        self._reader = FrameReader()
        self.session = self._begin()

    def _begin(self) -> NodeSession:
        channels = [Channel(0, "level", "m", -3, -3, 0, "water level")]
        return NodeSession(
            self._eui,
            self.keys,
            self.outbox,
            os.urandom,
            Greeting(self.boots, 0, "test 1"),
            encode_descriptor(1, channels),
        )

    def restart(self) -> None:
        """Forget the session, once what is due has left."""
        self._restarts = True

    def fill(self, count: int) -> None:
        for _ in range(count):
            self.outbox.append(2, encode_series(0, [1000, 2000], [5, 6], boot=9))

    def _note(self, happened: list[Event]) -> None:
        self.clocks += [
            event.epoch_ms_at_boot for event in happened if isinstance(event, Synchronised)
        ]
        for event in happened:
            if isinstance(event, Requested):
                self.session.respond(event.number, *self._answer(event.method, event.body))

    def say(self, data: bytes) -> None:
        os.write(self._master, data)

    def unplug(self) -> None:
        if self._master >= 0:
            os.close(self._master)
            self._master = -1

    def hear(self, now_ms: int) -> None:
        with suppress(OSError):
            for frame in self._reader.feed(os.read(self._master, 65_536)):
                self._note(self.session.receive(frame, now_ms))

    def speak(self, now_ms: int) -> None:
        while (frame := self.session.poll(now_ms)) is not None:
            with suppress(OSError):
                os.write(self._master, wrap(frame))
        if self._restarts:
            self._restarts = False
            self.boots += 1
            self.session = self._begin()

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        while self._master >= 0:
            now_ms = int(loop.time() * 1000)
            self.hear(now_ms)
            self.speak(now_ms)
            await asyncio.sleep(0.005)
