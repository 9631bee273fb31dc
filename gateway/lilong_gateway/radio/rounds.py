"""The rounds of a gateway: adapters listen, nodes are visited in turn, sick adapters treated."""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from lilong_gateway.backoff import Backoff
from lilong_gateway.config_links import Ble
from lilong_gateway.health.pulse import Pulse
from lilong_gateway.links.ble import Central
from lilong_gateway.logs import pairs
from lilong_gateway.radio.addresses import Addresses
from lilong_gateway.radio.call import Call
from lilong_gateway.radio.ear import Ear, Recover
from lilong_gateway.radio.itinerary import Itinerary, Outcome
from lilong_gateway.radio.ladder import LOOK_MS, Ladder, Step
from lilong_gateway.radio.listener import Listener
from lilong_gateway.radio.slots import Visit
from lilong_gateway.radio.unreached import Unreached
from lilong_gateway.radio.wishes import Wishes
from lilong_gateway.supervision import Supervisor
from lilong_gateway.surroundings import Surroundings

_LOOK_S = 1.0
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Premises:
    """What the rounds use of their process.

    random gives a float in [0, 1). alone says whether nothing else in the process works; give_up
    ends it, with the reason.
    """

    supervisor: Supervisor
    backoff: Callable[[], Backoff]
    random: Callable[[], float]
    recover: Recover
    alone: Callable[[], bool]
    give_up: Callable[[str], None]


class Rounds:
    """run() for ever, in one task."""

    def __init__(
        self,
        settings: Ble,
        around: Surroundings,
        listener: Listener,
        premises: Premises,
        pulse: Pulse | None = None,
    ) -> None:
        self._around = around
        self._listener = listener
        self._wishes = Wishes(around.keys, around.proofs, around.downlink)
        self._premises = premises
        self._pulse = pulse or Pulse()
        self._itinerary = Itinerary(
            settings.adapters, settings.slots, premises.random, settings.visit_every_s * 1000
        )
        self._ladder = Ladder(settings.adapters, self._now_ms())
        self._ears = {
            adapter: Ear(
                Central(adapter, settings.scan, self._hearing(adapter)),
                self._itinerary,
                premises.recover,
                premises.backoff(),
                around.clock,
            )
            for adapter in settings.adapters
        }
        self._calls: dict[Visit, Call] = {}
        self._unreached = Unreached()
        self._addresses = {adapter: Addresses() for adapter in settings.adapters}
        self._counted: Counter[str] = Counter(visits=0, drained=0, failed=0, no_slot=0)
        self._wake = asyncio.Event()

    async def run(self) -> None:
        """Serve the nodes on BLE for ever."""
        premises = self._premises
        async with asyncio.TaskGroup() as group:
            for adapter, ear in self._ears.items():
                name = f"adapter {adapter}"
                group.create_task(
                    premises.supervisor.keep(name, ear.run, premises.backoff()), name=name
                )
            group.create_task(self._watch())
            group.create_task(self._listener.run())
            await self._visit_in_turn(group)

    @property
    def states(self) -> dict[str, str]:
        """What is so with each adapter, in words for a person."""
        return {adapter: ear.state for adapter, ear in self._ears.items()}

    def status(self) -> dict[str, object]:
        """Return what is so at present, for the status file."""
        now_ms = self._now_ms()
        itinerary = self._itinerary
        return {
            "adapters": [
                {
                    "name": name,
                    "state": ear.state,
                    "silent_ms": self._ladder.silent_ms(name, now_ms),
                    "connections": itinerary.used(name),
                    "slots": itinerary.usable(name, now_ms),
                    "restarts": ear.steps[Step.SCAN],
                    "power_cycles": ear.steps[Step.POWER],
                }
                for name, ear in self._ears.items()
            ],
            "nodes": itinerary.known,
            "alarms": self._listener.board.status(),
            "visiting": [
                {
                    "link": _place(visit),
                    "eui": visit.eui.hex(),
                    "since_ms": now_ms - visit.began_ms,
                }
                for visit in self._calls
            ],
            "unreached": self._unreached.status(),
            **self._counted,
            "adverts": self._listener.counters,
        }

    def _hearing(self, adapter: str) -> Callable[[str, bytes, int], None]:
        def heard(address: str, advert: bytes, rssi_dbm: int) -> None:
            now_ms = self._now_ms()
            self._ladder.heard(adapter, now_ms)
            heard = self._listener.heard(advert, adapter, rssi_dbm, now_ms)
            if heard is None:
                return
            place = self._addresses[adapter].choose(heard.eui, address, now_ms)
            if place != address and not heard.fresh:
                return
            # A repeated one tells where the node is, and maybe no longer what waits there.
            told = heard.told if heard.fresh else None
            if self._itinerary.heard(adapter, heard.eui, place, rssi_dbm, told, now_ms):
                self._wake.set()

        return heard

    async def _visit_in_turn(self, group: asyncio.TaskGroup) -> None:
        while True:
            self._pulse.work()
            self._wake.clear()
            self._wishes.look(self._itinerary, self._now_ms())
            wait_s = _LOOK_S
            # While nothing can be stored there is nothing to fetch.
            if self._around.ingest.trouble is None:
                self._begin_visits(group)
                due_ms = self._itinerary.due_ms(self._now_ms())
                if due_ms is not None:
                    wait_s = (due_ms - self._now_ms()) / 1000
            self._pulse.rest()
            with suppress(TimeoutError):
                async with asyncio.timeout(min(_LOOK_S, max(0.01, wait_s))):
                    await self._wake.wait()

    def _begin_visits(self, group: asyncio.TaskGroup) -> None:
        while (visit := self._itinerary.next_visit(self._now_ms())) is not None:
            group.create_task(self._visit(visit), name=f"visit {_place(visit)}")

    async def _visit(self, visit: Visit) -> None:
        """Make one visit; whatever happens in it, its slot is given back."""
        call = Call(
            _place(visit),
            self._around,
            lambda: self._connected(visit),
            lambda: self._why_leave(visit),
        )
        self._calls[visit] = call
        try:
            await call.run(self._ears[visit.adapter].central, visit.address)
        except Exception as error:  # noqa: BLE001 - no mistake about one node may end the rounds
            self._counted["broken"] += 1
            _LOG.exception("visit broke %s", pairs(link=_place(visit), error=repr(error)))
        finally:
            del self._calls[visit]
            self._end(visit, call)

    def _why_leave(self, visit: Visit) -> str:
        if not self._itinerary.should_leave(visit, self._now_ms()):
            return ""
        return "the adapter is gone" if self._ears[visit.adapter].lost else "others wait"

    def _connected(self, visit: Visit) -> None:
        self._itinerary.connected(visit)
        self._ladder.connected(visit.adapter)
        self._wake.set()

    def _end(self, visit: Visit, call: Call) -> None:
        now_ms = self._now_ms()
        self._itinerary.ended(visit, call.outcome, now_ms, drained=call.drained)
        self._counted["visits"] += 1
        self._counted["drained"] += call.drained
        self._counted["no_slot"] += call.outcome is Outcome.NO_SLOT
        self._counted["failed"] += call.outcome is Outcome.FAILED
        if self._is_to_blame(visit.adapter, call):
            self._ladder.failed(visit.adapter, visit.eui, now_ms)
        self._note(visit, call)
        fields = pairs(
            link=_place(visit),
            eui=visit.eui,
            outcome=call.outcome.value,
            drained=call.drained,
            took_ms=now_ms - visit.began_ms,
            trouble=call.trouble,
        )
        _LOG.debug("visit ended %s", fields)
        self._wake.set()

    def _note(self, visit: Visit, call: Call) -> None:
        """Keep what the visit tells of the node and its address."""
        addresses = self._addresses[visit.adapter]
        if call.outcome is Outcome.SESSION:
            self._unreached.reached(visit.eui, _place(visit))
            addresses.reached(visit.eui, visit.address)
        elif not call.gave_way:
            self._unreached.failed(visit.eui, _place(visit), call.trouble)
            if call.outcome is Outcome.FAILED:
                addresses.failed(visit.eui, visit.address)

    def _is_to_blame(self, adapter: str, call: Call) -> bool:
        """Whether it may be the adapter's fault; one that has no slot must have some in use."""
        if call.reached or call.gave_way:
            return False
        return call.outcome is Outcome.FAILED or self._itinerary.used(adapter) == 0

    async def _watch(self) -> None:
        """Look after the adapters for ever."""
        while True:
            await asyncio.sleep(LOOK_MS / 1000)
            expected = self._itinerary.known > 0 or len(self._around.keys) > 0
            for remedy in self._ladder.look(
                self._now_ms(), expected=expected, alone=self._premises.alone()
            ):
                fields = pairs(adapter=remedy.adapter, step=remedy.step.name, why=remedy.reason)
                _LOG.warning("adapter is treated %s", fields)
                if remedy.step is Step.EXIT:
                    self._premises.give_up(remedy.reason)
                else:
                    self._ears[remedy.adapter].treat(remedy.step)

    def _now_ms(self) -> int:
        return self._around.clock.steady_ms()


def _place(visit: Visit) -> str:
    return f"{visit.adapter}/{visit.address}"
