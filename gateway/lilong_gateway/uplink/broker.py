"""One connection to an MQTT broker; the only importer of aiomqtt."""

import asyncio
import logging
import socket
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from typing import Any

import aiomqtt
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from lilong_gateway.blocking import in_thread
from lilong_gateway.config_uplink import Uplink
from lilong_gateway.errors import UplinkError, UplinkLostError, UplinkRefusedError
from lilong_gateway.uplink.login import Login
from lilong_gateway.uplink.message import Message
from lilong_gateway.uplink.packet import Answer, Told, packet_bytes
from lilong_gateway.uplink.tls import tls_context

_VERSIONS = {"5": aiomqtt.ProtocolVersion.V5, "3.1.1": aiomqtt.ProtocolVersion.V311}
_WRONG_VERSION = {1, 132}
"""The answers to an unknown version: MQTT 3.1.1 section 3.2.2.3, MQTT 5 section 3.2.2.2."""
_FAILURE = 128
"""From here on a reason code is a refusal (MQTT 5 section 2.4); 128 in MQTT 3.1.1 too."""
_GOODBYE_S = 1.0
_RECEIVED_KEPT = 256
_RECEIVED_BYTES = 65_536
"""Against a broker that floods us: what is more or longer is dropped; receipts come again."""


class _Client(aiomqtt.Client):
    """aiomqtt, which keeps to itself a broker's limits and answers, and an early hang-up.

    It connects in a thread that may hang and is given up then.
    """

    receive_maximum = 65_535
    packet_maximum: int | None = None

    def __init__(self, *args: Any, **options: Any) -> None:  # noqa: ANN401 - aiomqtt's own
        super().__init__(*args, **options)
        self.awaited: dict[int, tuple[Told, float]] = {}
        self._queued: deque[tuple[Message, Properties | None, Told]] = deque()
        self._home = threading.get_ident()
        self._given_up = False

    async def open(self, timeout_s: float) -> None:
        """Connect; aiomqtt.MqttError, OSError, UplinkLostError."""
        self._client.connect_timeout = timeout_s
        try:
            await in_thread(self._client_connect, 2 * timeout_s, lambda _: self._drop())
        except TimeoutError:
            raise UplinkLostError("cannot be reached in time", reached=False) from None
        await self._wait_for(self._connected, timeout_s)

    async def close(self) -> None:
        """Say goodbye if that is possible, and close the socket whatever state it is in."""
        self._given_up = True
        if self._connected.done() and not self._connected.cancelled():
            with suppress(aiomqtt.MqttError, TimeoutError):
                async with asyncio.timeout(_GOODBYE_S):
                    await self.__aexit__(None, None, None)
        if self._disconnected.done() and not self._disconnected.cancelled():
            self._disconnected.exception()  # told to those who waited; asyncio would complain
        peer = self._client.socket()
        if isinstance(peer, socket.socket):
            with suppress(OSError):
                peer.shutdown(socket.SHUT_RDWR)
            for _ in range(3):  # paho sees the end, closes, cancels its task: one turn each
                await asyncio.sleep(0)

    def _drop(self) -> None:
        """Close what was opened when nobody waited for it any more."""
        peer = self._client.socket()
        if isinstance(peer, socket.socket):
            peer.close()

    def post(self, message: Message, properties: Properties | None, told: Told) -> None:
        """Send with QoS 1 as soon as the broker has room; told is called with its answer.

        aiomqtt.MqttError.
        """
        self._queued.append((message, properties, told))
        self._post_queued()
        if self._client.want_write():
            self._write(self._client)

    def _post_queued(self) -> None:
        while self._queued and len(self.awaited) < self.receive_maximum:
            message, properties, told = self._queued.popleft()
            topic, payload = message.topic, message.payload
            info = self._client.publish(topic, payload, 1, message.retain, properties)
            if info.rc:
                raise aiomqtt.MqttCodeError(info.rc)
            self.awaited[info.mid] = told, time.monotonic()

    def _on_connect(self, *told: Any, **named: Any) -> None:  # noqa: ANN401 - as they come
        properties = told[4]
        self.receive_maximum = getattr(properties, "ReceiveMaximum", 65_535)
        self.packet_maximum = getattr(properties, "MaximumPacketSize", None)
        super()._on_connect(*told, **named)

    def _on_disconnect(self, *told: Any, **named: Any) -> None:  # noqa: ANN401 - as they come
        if self._connected.cancelled():  # nobody waits any more: we are stopping
            return
        if not self._connected.done():
            self._connected.set_exception(aiomqtt.MqttError("hung up before it answered"))
        super()._on_disconnect(*told, **named)

    def _on_publish(self, *answer: Any, **_: Any) -> None:  # noqa: ANN401 - as they come
        mid, reason_code = answer[2:4]
        told = self.awaited.pop(mid, (None,))[0]
        if told is not None:
            told(Answer(reason_code.value, str(reason_code)))
        self._post_queued()

    def _on_message(self, client: Client, userdata: object, message: MQTTMessage) -> None:
        if len(message.payload) <= _RECEIVED_BYTES:
            super()._on_message(client, userdata, message)

    def _on_socket_open(self, client: Client, userdata: object, sock: Any) -> None:  # noqa: ANN401
        """Called in the thread that connects, perhaps long after it was given up."""
        if self._given_up:
            sock.close()
            return
        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._watch, client, userdata, sock)

    def _watch(self, client: Client, userdata: object, sock: Any) -> None:  # noqa: ANN401
        if self._given_up:
            sock.close()
        else:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            super()._on_socket_open(client, userdata, sock)

    def _on_socket_register_write(self, client: Client, userdata: object, sock: Any) -> None:  # noqa: ANN401, ARG002
        if threading.get_ident() == self._home:
            self._write_soon(client, sock)
            return
        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._write_soon, client, sock)

    def _write_soon(self, client: Client, sock: Any) -> None:  # noqa: ANN401
        if sock.fileno() >= 0:
            self._loop.add_writer(sock.fileno(), self._write, client)

    def _write(self, client: Client) -> None:
        try:
            client.loop_write()
        except (OSError, ValueError) as error:
            if not self._disconnected.done():
                self._disconnected.set_exception(error)


class Broker:
    """An open connection. Every call is bounded in time; UplinkError."""

    def __init__(self, client: _Client, settings: Uplink, version: str) -> None:
        self.version = version
        self._client = client
        self.receive_maximum = client.receive_maximum
        """Unacknowledged messages that the broker takes."""
        self._timeout_s = settings.timeout_s
        self._typed: dict[str, Properties] = {}

    def takes(self, message: Message) -> bool:
        """Whether a message is not longer than the broker allows."""
        most = self._client.packet_maximum
        return most is None or packet_bytes(message) <= most

    def send(self, message: Message, told: Told) -> None:
        """Send with QoS 1, in the order of calls; told is called with the broker's answer."""
        with _translated():
            self._client.post(message, self._properties(message.content_type), told)

    async def publish(self, message: Message) -> Answer:
        """Send with QoS 1 and wait for the broker's answer."""
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self.send(message, lambda said: None if answer.done() else answer.set_result(said))
        with _translated():
            async with asyncio.timeout(self._timeout_s):
                return await answer

    async def subscribe(self, topics: Iterable[str]) -> None:
        """Ask for messages of these topics with QoS 1."""
        for topic in topics:
            with _translated():
                granted = await self._client.subscribe(topic, qos=1, timeout=self._timeout_s)
            if any(_code(answer) >= _FAILURE for answer in granted):
                raise UplinkRefusedError(f"the broker refuses a subscription to {topic}")

    async def messages(self) -> AsyncIterator[Message]:
        """Yield what comes on the subscribed topics; UplinkLostError when the line is gone."""
        with _translated():
            async for message in self._client.messages:
                if isinstance(message.payload, bytes):
                    yield Message(message.topic.value, message.payload)

    async def watch(self) -> None:
        """Look after acknowledgements for ever; UplinkLostError when one does not come in time."""
        while True:
            await asyncio.sleep(self._timeout_s / 4)
            oldest = next(iter(self._client.awaited.values()), None)
            if oldest is not None and time.monotonic() - oldest[1] > self._timeout_s:
                raise UplinkLostError("no acknowledgement in time")

    def _properties(self, content_type: str) -> Properties | None:
        if self.version != "5" or not content_type:
            return None
        if content_type not in self._typed:
            found = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
            found.ContentType = content_type
            self._typed[content_type] = found
        return self._typed[content_type]


@asynccontextmanager
async def connect(
    settings: Uplink, version: str, login: Login, status_topic: str | None
) -> AsyncIterator[Broker]:
    """Connect; the broker announces "offline" on status_topic when we vanish. UplinkError."""
    with _translated():
        context = None
        if settings.tls:
            context = await in_thread(lambda: tls_context(settings), settings.timeout_s)
        client = _client(settings, version, login, status_topic, context)
    try:
        with _translated():
            await client.open(settings.timeout_s)
        yield Broker(client, settings, version)
    finally:
        await client.close()


def _client(
    settings: Uplink,
    version: str,
    login: Login,
    status_topic: str | None,
    context: Any,  # noqa: ANN401
) -> _Client:
    will = status_topic and aiomqtt.Will(status_topic, b"offline", 1, retain=True)
    # A session without a past: what was not confirmed is published again anyway.
    fresh: Any = "clean_start" if version == "5" else "clean_session"
    quiet = logging.getLogger("lilong_gateway.uplink.mqtt")
    quiet.setLevel(logging.CRITICAL)
    return _Client(
        settings.host,
        settings.port,
        username=login.username,
        password=login.password,
        identifier=login.client_id,
        protocol=_VERSIONS[version],
        will=will or None,
        **{fresh: True},
        timeout=settings.timeout_s,
        keepalive=settings.keepalive_s,
        max_queued_incoming_messages=_RECEIVED_KEPT,
        max_inflight_messages=0,
        tls_context=context,
        logger=quiet,
    )


def _code(answer: object) -> int:
    value = getattr(answer, "value", answer)
    return value if isinstance(value, int) else _FAILURE


class _translated:  # noqa: N801 - reads as a verb
    """Turn aiomqtt's and the system's errors into UplinkError."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, aiomqtt.MqttError | OSError | TimeoutError | ValueError):
            raise _ours(error) from error


def _ours(error: Exception) -> UplinkError:
    if isinstance(error, OSError) and not isinstance(error, TimeoutError):
        return UplinkLostError(str(error), reached=False)
    if isinstance(error, aiomqtt.exceptions.MqttConnectError):
        code = _code(error.rc)
        if code in _WRONG_VERSION:
            return UplinkRefusedError("the broker does not speak this version", version=True)
        return UplinkRefusedError(f"the broker refuses the connection: {error}")
    if error.__cause__ is not None:
        reason = getattr(error.__cause__, "rc", error.__cause__)
        unnamed = isinstance(reason, int) or _code(reason) == _FAILURE
        return UplinkLostError("the connection was lost" if unnamed else f"hung up: {reason}")
    return UplinkLostError(str(error) or "no answer in time")
