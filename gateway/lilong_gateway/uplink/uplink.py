"""The uplink task: connect, deliver, back off, for ever."""

import asyncio
import logging
from contextlib import suppress

from lilong_gateway.backoff import Backoff
from lilong_gateway.clock import Clock
from lilong_gateway.config import Config
from lilong_gateway.errors import (
    StoreError,
    StoreReplacedError,
    UplinkError,
    UplinkLostError,
    UplinkRefusedError,
)
from lilong_gateway.logs import pairs
from lilong_gateway.outbox import Outbox
from lilong_gateway.store.store import Store
from lilong_gateway.uplink.broker import Broker, connect
from lilong_gateway.uplink.delivery import Counters, Delivery
from lilong_gateway.uplink.render import Publication, Renderer

_CLOCK_LOOK_S = 1.0
_GOODBYE_S = 2.0
_OTHER = {"5": "3.1.1", "3.1.1": "5"}
_LOG = logging.getLogger(__name__)


class Uplink:
    """Delivers what the store holds above its cursor; run() for ever, in one task."""

    def __init__(
        self,
        config: Config,
        store: Store,
        renderer: Renderer,
        committed: asyncio.Event,
        clock: Clock,
        backoff: Backoff,
    ) -> None:
        self.counters = Counters()
        self.connected: str | None = None
        """The MQTT version in use, None while not connected."""
        self.trouble = ""
        """Why nothing is delivered at present."""
        self._config = config
        self._store = store
        self._renderer = renderer
        self._committed = committed
        self._clock = clock
        self._backoff = backoff
        configured = config.uplink.version
        self._version = "5" if configured == "auto" else configured
        self._delivery: Delivery | None = None
        self._confirmed_before = 0
        self._was_connected = False

    @property
    def confirmed(self) -> int:
        """Batches confirmed since the start of the process."""
        now = self._delivery.outbox.confirmed if self._delivery is not None else 0
        return self._confirmed_before + now

    async def run(self) -> None:
        """Deliver for ever."""
        try:
            while True:
                await self._clock_set()
                try:
                    await self._attempt()
                except* (UplinkError, StoreError) as errors:
                    self._take(_first(errors))
                await asyncio.sleep(self._backoff.next_s())
        finally:
            await self._save()

    async def _clock_set(self) -> None:
        while self._clock.wall_ms() is None:
            self._note("the clock of this machine is not set")
            await asyncio.sleep(_CLOCK_LOOK_S)

    async def _attempt(self) -> None:
        self._was_connected = False
        delivery = await self._open_delivery()
        config = self._config
        status = f"{config.topic}/status"
        name = f"lilong-{config.site}-{config.id}"
        async with connect(config.uplink, self._version, name, status) as broker:
            try:
                await self._deliver(delivery, broker, status)
            except asyncio.CancelledError:
                with suppress(UplinkError, TimeoutError):
                    async with asyncio.timeout(_GOODBYE_S):
                        await broker.announce(status, "offline")
                raise
            finally:
                self.connected = None

    async def _deliver(self, delivery: Delivery, broker: Broker, status: str) -> None:
        if self._config.uplink.confirm == "city":
            await broker.subscribe(f"{self._config.topic}/receipt")
        await broker.announce(status, "online")
        self.connected = broker.version
        self._was_connected = True
        self.trouble = ""
        uplink = self._config.uplink
        where = pairs(host=uplink.host, port=uplink.port, mqtt=broker.version)
        _LOG.info("uplink connected %s", where)
        await delivery.run(broker, self._committed, self._backoff.reset)

    async def _open_delivery(self) -> Delivery:
        if self._delivery is None:
            summary = await self._store.summary()
            uplink = self._config.uplink
            outbox: Outbox[Publication] = Outbox(
                summary.cursor, uplink.window, city=uplink.confirm == "city"
            )
            self._delivery = Delivery(
                self._store, summary.store_id, outbox, self._renderer, self._clock, self.counters
            )
        return self._delivery

    def _take(self, error: UplinkError | StoreError) -> None:
        if isinstance(error, StoreReplacedError) and self._delivery is not None:
            self._confirmed_before += self._delivery.outbox.confirmed
            self._delivery = None
        if isinstance(error, UplinkError) and self._choose_version(error):
            _LOG.info("uplink tries MQTT %s", self._version)
        else:
            self._note(str(error))

    def _choose_version(self, error: UplinkError) -> bool:
        """Take the other version where this one got no answer; whether the broker asked for it."""
        if self._config.uplink.version != "auto":
            return False
        told = isinstance(error, UplinkRefusedError) and error.version
        unheard = isinstance(error, UplinkLostError) and error.reached and not self._was_connected
        if told or unheard:
            self._version = _OTHER[self._version]
        return told

    def _note(self, trouble: str) -> None:
        """Log a change of state once."""
        if trouble != self.trouble:
            self.trouble = trouble
            uplink = self._config.uplink
            where = pairs(host=uplink.host, port=uplink.port, reason=trouble)
            _LOG.warning("uplink waits %s", where)

    async def _save(self) -> None:
        if self._delivery is not None:
            with suppress(StoreError):
                await self._delivery.save()


def _first(errors: BaseExceptionGroup[BaseException]) -> UplinkError | StoreError:
    """Return the most telling error of a group: a refusal before what follows from it."""
    found: list[UplinkError | StoreError] = []
    waiting: list[BaseException] = [errors]
    while waiting:
        error = waiting.pop()
        if isinstance(error, BaseExceptionGroup):
            waiting += error.exceptions
        elif isinstance(error, UplinkError | StoreError):
            found.append(error)
    return min(found, key=lambda error: not isinstance(error, UplinkRefusedError | StoreError))
