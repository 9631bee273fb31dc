"""One sink's task: connect, deliver, back off, for ever."""

import asyncio
import logging
from contextlib import suppress
from dataclasses import asdict

from lilong_gateway.backoff import Backoff
from lilong_gateway.clock import UNIX_2000_MS
from lilong_gateway.config_uplink import Uplink as Settings
from lilong_gateway.errors import (
    StoreError,
    StoreReplacedError,
    UplinkError,
    UplinkLostError,
    UplinkRefusedError,
)
from lilong_gateway.logs import Fields, pairs
from lilong_gateway.outbox_parts import Limits
from lilong_gateway.uplink.broker import Broker, connect
from lilong_gateway.uplink.delivery import Delivery
from lilong_gateway.uplink.login import LoginAt
from lilong_gateway.uplink.lookup import Lookup
from lilong_gateway.uplink.means import Means
from lilong_gateway.uplink.message import Message

_CLOCK_LOOK_S = 1.0
_GOODBYE_S = 1.0
_OTHER = {"5": "3.1.1", "3.1.1": "5"}
_LOG = logging.getLogger(__name__)


class Uplink:
    """Delivers to one sink what the store holds above its cursors; run() for ever, in one task.

    login is who it says it is to the broker.
    """

    def __init__(
        self, settings: Settings, means: Means, login: LoginAt, backoff: Backoff, lookup: Lookup
    ) -> None:
        self.counters = means.counters
        self.filters = means.renderer.counters
        self.connected: str | None = None
        """The MQTT version in use, None while not connected."""
        self._trouble = ""
        self._settings = settings
        self._means = means
        self._login = login
        self._backoff = backoff
        self._lookup = lookup
        self._version = "5" if settings.version == "auto" else settings.version
        self._delivery: Delivery | None = None
        self._confirmed_before = 0
        self._was_connected = False

    @property
    def name(self) -> str:
        """The sink's."""
        return self._settings.name

    @property
    def host(self) -> str:
        """The broker's."""
        return self._settings.host

    @property
    def port(self) -> int:
        """The broker's."""
        return self._settings.port

    @property
    def format(self) -> str:
        """The name of what is sent."""
        return self._settings.format

    @property
    def trouble(self) -> str:
        """Why nothing, or not everything, is delivered at present."""
        dispatch = None if self._delivery is None else self._delivery.dispatch
        return self._trouble or ("" if dispatch is None else dispatch.trouble)

    @property
    def confirmed(self) -> int:
        """Batches confirmed since the start of the process."""
        now = self._delivery.outbox.confirmed if self._delivery is not None else 0
        return self._confirmed_before + now

    @property
    def waiting(self) -> int | None:
        """Batches that are not confirmed, at most; None: not known yet."""
        delivery = self._delivery
        return None if delivery is None else delivery.outbox.waiting(delivery.last)

    @property
    def replaying(self) -> bool:
        """Whether a backlog is sent beside what is new."""
        return self._delivery is not None and self._delivery.outbox.replaying

    @property
    def replay_waiting(self) -> int:
        """Of what waits, the backlog."""
        return 0 if self._delivery is None else self._delivery.outbox.replay_waiting

    @property
    def last_confirmed_ms(self) -> int | None:
        """When something was confirmed last, in ms since 1970; None: not in this process."""
        return None if self._delivery is None else self._delivery.confirmed_ms

    def status(self) -> dict[str, object]:
        """Return all of it for people and scripts."""
        return {
            "host": self.host,
            "port": self.port,
            "format": self.format,
            "connected": self.connected,
            "trouble": self.trouble,
            "waiting": self.waiting,
            "confirmed": self.confirmed,
            "replaying": self.replaying,
            "replay_waiting": self.replay_waiting,
            "last_confirmed_ms": self.last_confirmed_ms,
            **asdict(self.counters),
            **asdict(self.filters),
        }

    def wake(self, last: int | None) -> None:
        """There may be more to deliver; last is the highest position in the store, if known."""
        if self._delivery is not None:
            self._delivery.last = max(self._delivery.last, last or 0)
            self._delivery.wake()

    async def run(self) -> None:
        """Deliver for ever."""
        try:
            while True:
                await self._clock_set()
                try:
                    await self._attempt()
                except* (UplinkError, StoreError) as errors:
                    self._take(_first(errors))
                await self._save()
                self._means.pulse.rest()
                await asyncio.sleep(self._backoff.next_s())
        finally:
            await self._save()

    async def _clock_set(self) -> None:
        while self._means.clock.wall_ms() is None:
            self._note("the clock of this machine is not set")
            await asyncio.sleep(_CLOCK_LOOK_S)

    async def _attempt(self) -> None:
        self._was_connected = False
        self._means.pulse.work()
        state = await self._means.store.open_sink(self.name, self._settings.start)
        delivery = self._delivery
        if delivery is None or delivery.store_id != state.store_id:
            self._forget()
            city = self._settings.confirm == "city"
            delivery = Delivery(self._means, state, self._limits(), city=city)
            self._delivery = delivery
        self._means.pulse.rest()
        settings = self._settings
        await self._lookup.resolve(settings.host, settings.port, settings.timeout_s)
        topic = self._means.form.status_topic
        login = self._login((self._means.clock.wall_ms() or 0) + UNIX_2000_MS)
        async with connect(settings, self._version, login, topic) as broker:
            try:
                await self._deliver(delivery, broker, state.last)
            except asyncio.CancelledError:
                with suppress(UplinkError, TimeoutError):
                    async with asyncio.timeout(_GOODBYE_S):
                        await self._announce(broker, b"offline")
                raise
            finally:
                self.connected = None

    async def _deliver(self, delivery: Delivery, broker: Broker, last: int) -> None:
        means = self._means
        topics = set(means.form.subscriptions())
        await broker.subscribe(sorted(topics | ({means.receipts} if means.receipts else set())))
        await self._announce(broker, b"online")
        self.connected = broker.version
        self._was_connected = True
        self._trouble = ""
        self.counters.connections += 1
        _LOG.info("uplink connected %s", self._where(mqtt=broker.version))
        await delivery.run(broker, last, self._backoff.reset)

    async def _announce(self, broker: Broker, state: bytes) -> None:
        topic = self._means.form.status_topic
        if topic is not None:
            answer = await broker.publish(Message(topic, state, retain=True))
            if answer.refused:
                raise UplinkRefusedError(f"the broker refuses {topic}: {answer.meaning}")

    def _limits(self) -> Limits:
        window = self._settings.window
        return Limits(window=window, split=2 * window)

    def _take(self, error: UplinkError | StoreError) -> None:
        self.counters.losses += self._was_connected
        if isinstance(error, StoreReplacedError):
            self._forget()
        if isinstance(error, UplinkError) and self._choose_version(error):
            _LOG.info("uplink tries MQTT %s", self._version)
        else:
            self._note(str(error))

    def _forget(self) -> None:
        """Begin anew: what is remembered is of a store that is gone."""
        if self._delivery is not None:
            self._confirmed_before += self._delivery.outbox.confirmed
            self._delivery = None

    def _choose_version(self, error: UplinkError) -> bool:
        """Take the other version where this one got no answer; whether the broker asked for it."""
        if self._settings.version != "auto":
            return False
        told = isinstance(error, UplinkRefusedError) and error.version
        unheard = isinstance(error, UplinkLostError) and error.reached and not self._was_connected
        if told or unheard:
            self._version = _OTHER[self._version]
        return told

    def _note(self, trouble: str) -> None:
        """Log a change of state once."""
        if trouble != self._trouble:
            self._trouble = trouble
            _LOG.warning("uplink waits %s", self._where(reason=trouble))

    def _where(self, **more: object) -> Fields:
        return pairs(sink=self.name, host=self.host, port=self.port, **more)

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
