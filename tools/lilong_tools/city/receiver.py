"""The receiver's MQTT side: a session that the broker remembers, all answers after the commit.

What is not committed is not acknowledged to the broker either: it keeps it for the next visit.

The only importer of aiomqtt in the tools.
"""

import asyncio
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import aiomqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from lilong_tools.cancellation import heed_cancellation
from lilong_tools.city.address import Address
from lilong_tools.city.receipts import Held, receipts_of
from lilong_tools.city.store import Arrival, CityStore, StoreError

_GROUP = 512
_GROUP_BYTES = 1 << 20
"""Of one commit: some hundred batches, so that receipts follow soon."""
_QUEUE = 20_000
_IN_FLIGHT = 1024
"""Messages that a broker of MQTT 5 may send before we have committed the first of them."""
_AGAIN_S = 1.0
_KEEPALIVE_S = 10
_TIMEOUT_S = 10.0
_GOODBYE_S = 2.0
_SESSION_EXPIRY_S = 7 * 86400
_FIRST_RETRY_S = 0.2
_LAST_RETRY_S = 5.0


_Received = tuple[aiomqtt.Message, Arrival]


class _Client(aiomqtt.Client):
    """aiomqtt, which acknowledges a message only when told to."""

    def __init__(self, *given: Any, **named: Any) -> None:  # noqa: ANN401 - passed on as it is
        super().__init__(*given, **named)
        self._client.manual_ack_set(on=True)

    def acknowledge(self, message: aiomqtt.Message) -> None:
        """Let the broker forget it."""
        self._client.ack(message.mid, message.qos)


class Receiver:
    """Takes telemetry off one broker into one store, for as long as `run` is left running."""

    def __init__(
        self, store: CityStore, broker: Address, prefix: str, site: str, log: logging.Logger
    ) -> None:
        self._store = store
        self._broker = broker
        self._prefix = prefix
        self._site = site
        self._log = log
        self._writer = ThreadPoolExecutor(1, "city-store")
        self._version = aiomqtt.ProtocolVersion.V5
        self._other = aiomqtt.ProtocolVersion.V311
        self._retry_s = _FIRST_RETRY_S
        self.last_arrival_s = time.monotonic()

    async def run(self) -> None:
        """Receive until cancelled; a broker that is absent, dies or hangs is tried again."""
        while True:
            try:
                await self._visit()
            except* aiomqtt.MqttError as errors:
                problem = errors.exceptions[0]
                self._log.warning("no broker at %s (%s); trying again", self._broker, problem)
            await asyncio.sleep(self._retry_s)
            self._retry_s = min(self._retry_s * 2, _LAST_RETRY_S)

    async def forget(self) -> None:
        """Let the broker, if it is there, drop the session and the retained gateway states."""
        modern = self._version is aiomqtt.ProtocolVersion.V5
        clean = {"clean_start": True} if modern else {"clean_session": True}
        try:
            async with self._plain_client(self._version, _GOODBYE_S, **clean) as client:
                loop = asyncio.get_running_loop()
                heard = await loop.run_in_executor(self._writer, self._store.gateways)
                for site, gateway in heard:
                    topic = f"{self._prefix}/{site}/{gateway}/status"
                    await client.publish(topic, b"", qos=1, retain=True)
                self._log.info("session at %s dropped", self._broker)
        except aiomqtt.MqttError as error:
            self._log.warning("session at %s not dropped (%s)", self._broker, error)

    def close(self) -> None:
        """Let a commit that is under way end; call it when `run` has ended."""
        self._writer.shutdown()

    async def _visit(self) -> None:
        """Connect and receive until the connection ends; raise MqttError, in a group or bare.

        Who refuses one version of MQTT is asked with the other next time.
        """
        version, self._version, self._other = self._version, self._other, self._version
        async with self._client(version) as client:
            self._version, self._other = self._other, self._version
            self._retry_s = _FIRST_RETRY_S
            self._log.info("connected to %s, MQTT %s", self._broker, version.name)
            arrivals: asyncio.Queue[_Received] = asyncio.Queue(_GROUP)
            # Two tasks: only the one that waits for messages learns at once of a lost connection.
            async with asyncio.TaskGroup() as work:
                work.create_task(self._collect(client, arrivals))
                work.create_task(self._settle(client, arrivals))

    def _client(self, version: aiomqtt.ProtocolVersion) -> _Client:
        """Make a client whose session the broker keeps."""
        if version is aiomqtt.ProtocolVersion.V5:
            return self._plain_client(version, _TIMEOUT_S, clean_start=False, properties=_expiry())
        return self._plain_client(version, _TIMEOUT_S, clean_session=False)

    def _plain_client(
        self,
        version: aiomqtt.ProtocolVersion,
        timeout_s: float,
        **session: Any,  # noqa: ANN401 - passed on as it is
    ) -> _Client:
        return _Client(
            self._broker.host,
            self._broker.port,
            identifier=f"lilong-city-{self._store.identity}",
            protocol=version,
            keepalive=_KEEPALIVE_S,
            timeout=timeout_s,
            max_queued_incoming_messages=_QUEUE,
            **session,
        )

    async def _collect(self, client: _Client, arrivals: asyncio.Queue[_Received]) -> None:
        async for message in client.messages:
            heed_cancellation()
            self.last_arrival_s = time.monotonic()
            await arrivals.put((message, _arrival(message)))

    async def _settle(self, client: _Client, arrivals: asyncio.Queue[_Received]) -> None:
        await client.subscribe(f"{self._prefix}/{self._site}/+/telemetry/+", qos=1)
        while True:
            heed_cancellation()
            group = [await arrivals.get()]
            size = len(group[0][1].payload)
            while len(group) < _GROUP and size < _GROUP_BYTES and not arrivals.empty():
                group.append(arrivals.get_nowait())
                size += len(group[-1][1].payload)
            held = await self._commit([arrival for _, arrival in group])
            for message, _ in group:
                client.acknowledge(message)
            for receipt in receipts_of(held):
                await client.publish(receipt.topic(self._prefix), receipt.payload(), qos=1)

    async def _commit(self, group: list[Arrival]) -> list[Held]:
        """Commit, however often it takes; meanwhile the broker keeps the rest."""
        loop = asyncio.get_running_loop()
        told = ""
        while True:
            try:
                return await loop.run_in_executor(self._writer, self._store.commit, group)
            except StoreError as error:
                if str(error) != told:
                    told = str(error)
                    self._log.warning("nothing can be stored (%s); trying again", error)
            await asyncio.sleep(_AGAIN_S)


def _arrival(message: aiomqtt.Message) -> Arrival:
    payload = message.payload
    content = payload if isinstance(payload, bytes) else str(payload or "").encode()
    return Arrival(str(message.topic), content, time.time_ns() // 1_000_000)


def _expiry() -> Properties:
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    properties.SessionExpiryInterval = _SESSION_EXPIRY_S
    properties.ReceiveMaximum = _IN_FLIGHT
    return properties
