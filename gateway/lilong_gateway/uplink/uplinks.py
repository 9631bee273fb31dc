"""All sinks of a gateway: each its own task, cursors, format and connection."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from lilong_gateway.backoff import Backoff
from lilong_gateway.clock import Clock
from lilong_gateway.config import Config
from lilong_gateway.config_uplink import MAIN
from lilong_gateway.config_uplink import Uplink as Settings
from lilong_gateway.errors import StoreError
from lilong_gateway.health.pulse import Pulse
from lilong_gateway.outbox_parts import Part
from lilong_gateway.privacy import Privacy
from lilong_gateway.selection import Selection
from lilong_gateway.store.records import Lane
from lilong_gateway.store.store import Store
from lilong_gateway.uplink.counters import Counters
from lilong_gateway.uplink.formats import make_format
from lilong_gateway.uplink.guarded import Guarded
from lilong_gateway.uplink.login import LoginAt, login_of
from lilong_gateway.uplink.lookup import Find, Lookup, find
from lilong_gateway.uplink.means import Means
from lilong_gateway.uplink.message import Figures
from lilong_gateway.uplink.renderer import Renderer
from lilong_gateway.uplink.uplink import Uplink

_LOOK_S = 1.0
_ALARMS = frozenset({0})

Duty = Callable[[], Awaitable[None]]


class Uplinks:
    """Built from the configuration; each of duties() is to be kept running by itself.

    committed is set by others when there is something new in the store; pulse is asked for one
    for each duty, by its name.
    """

    def __init__(  # noqa: PLR0917 - it is built in one place, of what the gateway has
        self,
        config: Config,
        store: Store,
        committed: asyncio.Event,
        clock: Clock,
        backoff: Callable[[], Backoff],
        figures: Callable[[], Figures],
        pulse: Callable[[str], Pulse] | None = None,
        *,
        lookup: Find = find,
    ) -> None:
        self._config = config
        self._store = store
        self._committed = committed
        self._clock = clock
        self._figures = figures
        self._pulse_of = pulse or (lambda _duty: Pulse())
        self._pulse = self._pulse_of("uplinks")
        self.sinks = tuple(
            Uplink(sink, self._means(sink), _login(config, sink), backoff(), Lookup(lookup))
            for sink in config.uplinks
        )

    def duties(self) -> list[tuple[str, Duty]]:
        """Return what must run for ever, by name."""
        return [
            ("uplinks", self._run),
            *((f"uplink {sink.name}", sink.run) for sink in self.sinks),
        ]

    def status(self) -> dict[str, dict[str, object]]:
        """Return the state of each sink, by its name."""
        return {sink.name: sink.status() for sink in self.sinks}

    async def _run(self) -> None:
        """Wake all sinks when something was committed; at times tell them how much there is."""
        looked_s = -_LOOK_S
        loop = asyncio.get_running_loop()
        told = True
        while True:
            self._pulse.rest()
            with suppress(TimeoutError):
                async with asyncio.timeout(None if told else _LOOK_S):
                    await self._committed.wait()
            self._committed.clear()
            self._wake(None)
            told = loop.time() - looked_s >= _LOOK_S
            if told:
                looked_s = loop.time()
                self._pulse.work()
                self._wake(await self._last())

    def _wake(self, last: int | None) -> None:
        for sink in self.sinks:
            sink.wake(last)

    async def _last(self) -> int | None:
        try:
            return (await self._store.summary()).last
        except StoreError:
            return None  # each sink meets the same trouble and reports it

    def _means(self, sink: Settings) -> Means:
        config = self._config
        topic = config.topic_of(sink)
        name = f"uplink {sink.name}"
        lanes = {Lane.ALARM} if sink.streams & _ALARMS else set()
        lanes |= {Lane.REST} if sink.streams - _ALARMS else set()
        return Means(
            name=sink.name,
            store=self._store,
            renderer=Renderer(Privacy(config.release, config.grants), Selection.of(sink)),
            form=Guarded(make_format(sink, topic), sink.name),
            counters=Counters(),
            lanes=frozenset(lanes),
            replay_per_s=sink.replay_per_s,
            receipts=f"{topic}/receipt" if sink.confirm == "city" else None,
            figures=self._figures,
            clock=self._clock,
            pulse=self._pulse_of(name),
            pulses={part: self._pulse_of(f"{name} {part.name.lower()}") for part in Part},
        )


def _login(config: Config, sink: Settings) -> LoginAt:
    """Return how a sink logs in; two sinks at one broker have two names."""
    name = f"lilong-{config.site}-{config.id}"
    return login_of(sink, name if sink.name == MAIN else f"{name}-{sink.name}")
