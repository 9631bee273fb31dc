"""One connection to an MQTT broker; the only importer of aiomqtt."""

import asyncio
import logging
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import aiomqtt
from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from lilong_gateway.config_uplink import Uplink
from lilong_gateway.errors import UplinkError, UplinkLostError, UplinkRefusedError

_VERSIONS = {"5": aiomqtt.ProtocolVersion.V5, "3.1.1": aiomqtt.ProtocolVersion.V311}
_WRONG_VERSION = {1, 132}
"""The answers to an unknown version: MQTT 3.1.1 section 3.2.2.3, MQTT 5 section 3.2.2.2."""
_FAILURE = 128
"""From here on a reason code is a refusal (MQTT 5 section 2.4); 128 in MQTT 3.1.1 too."""
_TYPES = {"senml+cbor": "application/senml+cbor", "senml+json": "application/senml+json"}
_GOODBYE_S = 2.0
_RECEIVED_KEPT = 256
_RECEIVED_BYTES = 65_536
"""Against a broker that floods us: what is more or longer is dropped; receipts come again."""


class _Client(aiomqtt.Client):
    """aiomqtt, which keeps to itself a broker's limit, a refused message, an early hang-up."""

    receive_maximum = 65_535
    refusal: UplinkRefusedError | None = None

    def _on_connect(
        self,
        client: Client,
        userdata: object,
        flags: ConnectFlags,
        reason_code: ReasonCode,
        properties: Properties | None = None,
    ) -> None:
        self.receive_maximum = getattr(properties, "ReceiveMaximum", 65_535)
        super()._on_connect(client, userdata, flags, reason_code, properties)

    def _on_disconnect(
        self,
        client: Client,
        userdata: object,
        flags: DisconnectFlags,
        reason_code: ReasonCode,
        properties: Properties | None = None,
    ) -> None:
        if self._connected.cancelled():  # nobody waits any more: we are stopping
            return
        if not self._connected.done():
            self._connected.set_exception(aiomqtt.MqttError("hung up before it answered"))
        super()._on_disconnect(client, userdata, flags, reason_code, properties)

    def _on_publish(
        self,
        client: Client,
        userdata: object,
        mid: int,
        reason_code: ReasonCode,
        properties: Properties,
    ) -> None:
        if reason_code.is_failure:
            self.refusal = UplinkRefusedError(f"the broker refuses what is sent: {reason_code}")
        super()._on_publish(client, userdata, mid, reason_code, properties)

    def _on_message(self, client: Client, userdata: object, message: MQTTMessage) -> None:
        if len(message.payload) <= _RECEIVED_BYTES:
            super()._on_message(client, userdata, message)

    async def hang_up(self) -> None:
        """Close the socket, whatever state the connection is in."""
        peer = self._client.socket()
        if isinstance(peer, socket.socket):
            with suppress(OSError):
                peer.shutdown(socket.SHUT_RDWR)
            for _ in range(3):  # paho sees the end, closes, cancels its task: one turn each
                await asyncio.sleep(0)


class Broker:
    """An open connection. Every call is bounded in time; UplinkError."""

    def __init__(self, client: _Client, settings: Uplink, version: str) -> None:
        self.version = version
        self._client = client
        self._timeout_s = settings.timeout_s
        self._properties = _properties(settings) if version == "5" else None

    @property
    def receive_maximum(self) -> int:
        """Unacknowledged messages that the broker takes."""
        return self._client.receive_maximum

    async def publish(self, topic: str, payload: bytes) -> None:
        """Send telemetry with QoS 1 and wait until the broker has it."""
        with _translated():
            await self._client.publish(
                topic, payload, 1, properties=self._properties, timeout=self._timeout_s
            )
        self._check()

    async def announce(self, topic: str, state: str) -> None:
        """Send a retained state with QoS 1."""
        with _translated():
            await self._client.publish(topic, state, 1, retain=True, timeout=self._timeout_s)
        self._check()

    async def subscribe(self, topic: str) -> None:
        """Ask for messages of a topic with QoS 1."""
        with _translated():
            granted = await self._client.subscribe(topic, qos=1, timeout=self._timeout_s)
        if any(_code(answer) >= _FAILURE for answer in granted):
            raise UplinkRefusedError(f"the broker refuses a subscription to {topic}")

    async def messages(self) -> AsyncIterator[bytes]:
        """Yield what comes on the subscribed topics; UplinkLostError when the line is gone."""
        with _translated():
            async for message in self._client.messages:
                if isinstance(message.payload, bytes):
                    yield message.payload

    def _check(self) -> None:
        if self._client.refusal is not None:
            raise self._client.refusal


@asynccontextmanager
async def connect(
    settings: Uplink, version: str, identifier: str, will_topic: str
) -> AsyncIterator[Broker]:
    """Connect; the broker announces "offline" on will_topic when we vanish. UplinkError."""
    client = _client(settings, version, identifier, will_topic)
    try:
        with _translated():
            async with asyncio.timeout(2 * settings.timeout_s):
                await client.__aenter__()
        try:
            yield Broker(client, settings, version)
        finally:
            with suppress(aiomqtt.MqttError, TimeoutError):
                async with asyncio.timeout(_GOODBYE_S):
                    await client.__aexit__(None, None, None)
    finally:
        await client.hang_up()


def _client(settings: Uplink, version: str, identifier: str, will_topic: str) -> _Client:
    client = _Client(
        settings.host,
        settings.port,
        username=settings.username,
        password=settings.password,
        identifier=identifier,
        protocol=_VERSIONS[version],
        will=aiomqtt.Will(will_topic, b"offline", 1, retain=True),
        **_fresh(version),
        timeout=settings.timeout_s,
        keepalive=settings.keepalive_s,
        max_queued_incoming_messages=_RECEIVED_KEPT,
        max_inflight_messages=settings.window + 1,
        tls_context=_tls(settings),
        logger=_quiet(),
    )
    client.pending_calls_threshold = settings.window + 8
    return client


def _fresh(version: str) -> dict[str, Any]:
    """Ask for a session without a past: what was not confirmed is published again anyway."""
    return {"clean_start": True} if version == "5" else {"clean_session": True}


def _tls(settings: Uplink) -> ssl.SSLContext | None:
    if not settings.tls:
        return None
    return ssl.create_default_context(cafile=settings.ca_file)


def _quiet() -> logging.Logger:
    logger = logging.getLogger("lilong_gateway.uplink.mqtt")
    logger.setLevel(logging.ERROR)
    return logger


def _properties(settings: Uplink) -> Properties:
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    properties.ContentType = _TYPES[settings.format]
    return properties


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
    before = error.__context__
    if isinstance(before, OSError) and not isinstance(before, TimeoutError):
        return UplinkLostError(str(error), reached=False)
    if isinstance(error, aiomqtt.exceptions.MqttConnectError):
        code = _code(error.rc)
        if code in _WRONG_VERSION:
            return UplinkRefusedError("the broker does not speak this version", version=True)
        return UplinkRefusedError(f"the broker refuses the connection: {error}")
    return UplinkLostError(str(error) or "no answer in time")
