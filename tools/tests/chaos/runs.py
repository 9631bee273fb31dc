"""One run: a street, harms at random, quiet, and the verdict."""

import asyncio
import random
import shutil
import signal
import tempfile
import time
import traceback
from dataclasses import asdict, dataclass, field
from pathlib import Path

from checker import check, missing_of, unaccounted
from harms import Harms
from street import Plan, Street

_PACE_S = 0.025
_LOOK_S = 0.15
_MOST_S = 60.0
"""For all of a run but the patience."""
_CALM_S = 0.6
"""For so long everything has to be there, so that what comes too often comes too."""
_SURE_S = 8.0
"""A gateway that has had nothing to deliver for so long will not deliver what is missing."""


@dataclass(frozen=True)
class Order:
    """What a worker is to do: everything else is drawn from seed and number."""

    seed: int
    number: int
    mosquitto: str
    mounts: bool
    patience_s: float
    harm: str | None = None
    wrong: str | None = None
    keep: str | None = None


@dataclass
class Outcome:
    """What came of one run."""

    number: int
    wrong: str | None = None
    lost: int = 0
    duplicated: int = 0
    not_recovered: int = 0
    altered: int = 0
    disordered: int = 0
    broken: int = 0
    """The campaign's own fault."""
    undelivered: int = 0
    """Of a gateway that has not recovered: nobody knows what will become of them."""
    reordered: int = 0
    """Not in order for a reason: the gateway had them so, or its broker died and forgot some."""
    slow_ends: int = 0
    """Whether it had to be killed in the end, or ended with an error."""
    excused: int = 0
    batches: int = 0
    repeats: int = 0
    lives: int = 0
    tracebacks: int = 0
    seconds: float = 0.0
    settle_s: float = 0.0
    harms: dict = field(default_factory=dict)
    reached: dict = field(default_factory=dict)
    notes: list = field(default_factory=list)
    folder: str = ""

    @property
    def faultless(self):
        wrong = (
            self.lost
            + self.duplicated
            + self.not_recovered
            + self.altered
            + self.disordered
            + self.broken
        )
        return wrong == 0


def perform(order):
    """Carry out an order in a process of its own event loop; return the outcome as a dict."""
    folder = Path(tempfile.mkdtemp(prefix="chaos-"))
    outcome = Outcome(order.number, order.wrong)
    began_s = time.monotonic()
    try:
        asyncio.run(_bounded(order, folder, outcome))
    except (Exception, asyncio.CancelledError):  # noqa: BLE001 - one run must not end them all
        outcome.broken = 1
        outcome.notes.append(traceback.format_exc())
    finally:
        outcome.seconds = time.monotonic() - began_s
        if order.keep and not (outcome.faultless and not outcome.tracebacks):
            kept = Path(order.keep) / f"seed-{order.seed}-run-{order.number}"
            shutil.rmtree(kept, ignore_errors=True)
            shutil.copytree(folder, kept, ignore=_sockets, symlinks=True)
            outcome.folder = str(kept)
        shutil.rmtree(folder, ignore_errors=True)
    return asdict(outcome)


def _sockets(_folder, names):
    return [name for name in names if name in {"tty", "ballast"}]


async def _bounded(order, folder, outcome):
    async with asyncio.timeout(order.patience_s + _MOST_S):
        await _run(order, folder, outcome)


async def _run(order, folder, outcome):
    dice = random.Random(f"{order.seed}/{order.number}")
    plan = _draw(dice, order)
    street = Street(folder, plan, order.mosquitto, dice)
    asyncio.get_running_loop().set_exception_handler(_keep_quiet)
    harms = Harms(street, dice)
    try:
        await street.open()
        await _harm(street, harms, dice, order)
        began_s = time.monotonic()
        recovered = await _settle(street, harms, order.patience_s)
        outcome.settle_s = time.monotonic() - began_s
        _judge(outcome, street, harms, recovered=recovered)
        if await street.close() not in {0, -signal.SIGTERM}:  # the latter: it had just begun
            outcome.slow_ends = 1
            _note_trouble(outcome, street, "does not end when asked")
    finally:
        await street.close()
        if order.keep and not outcome.faultless:
            _save(street)
        street.leave()
    outcome.lives = street.gateway.lives
    outcome.harms = harms.done
    outcome.reached = dict(street.accounts.reached())
    found = street.accounts.tracebacks()
    outcome.tracebacks = len(found)
    outcome.notes += [f"{line[:200]} ... {line[-300:]}" for line in found[:2]]


def _judge(outcome, street, harms, *, recovered):
    vars(outcome).update(asdict(check(street, harms.excusable)))
    if harms.forgotten:
        outcome.reordered, outcome.disordered = outcome.reordered + outcome.disordered, 0
    if not recovered:
        outcome.not_recovered = 1
        outcome.undelivered, outcome.lost = outcome.lost, 0
        _note_trouble(outcome, street, "not recovered")


def _keep_quiet(_loop, _context):
    """Say nothing of a client that is gone before it has read its last error."""


def _save(street):
    """Take what lies on the lent disk along."""
    if street.plan.mounts:
        shutil.copytree(street.data, street.folder / "saved", ignore=_sockets)


def _note_trouble(outcome, street, what):
    nodes = [(node.drained, node.waiting) for node in street.nodes]
    status = street.accounts.status
    uplink, store = status.get("uplink", {}), status.get("store", {})
    outcome.notes.append(
        f"{what}: pid={street.gateway.pid} ends={street.gateway.ends[-3:]} nodes={nodes}"
        f" connected={uplink.get('connected')} trouble={uplink.get('trouble')!r}"
        f" store={store.get('trouble')!r} waiting={store.get('waiting')}"
    )


def _draw(dice, order):
    """Draw what the run is made of; a harm or a wrong gateway that is asked for decides first."""
    held = dice.random() < 0.6
    confirm = dice.choice(("city", "city", "city", "broker"))
    form = dice.choice(("senml+cbor", "senml+cbor", "senml+json"))
    city_process = dice.random() < 0.3
    if order.harm in {"kill_at_step", "jump_clock"} or order.wrong:
        held = True
    if order.harm in {"kill_broker", "power_cut"}:
        confirm = "city"
    if order.wrong:
        form, city_process = "senml+cbor", False
        confirm = "broker" if order.wrong == "drop" else "city"
    return Plan(
        held=held,
        confirm=confirm,
        form=form,
        version=dice.choice(("auto", "5", "3.1.1")),
        window=dice.choice((4, 16, 64)),
        keep_confirmed_s=dice.choice((0, 86_400)),
        nodes=dice.choice((2, 3)),
        backlog=dice.choice((0, 20, 80)),
        city_process=city_process,
        wrong=order.wrong,
        mounts=order.mounts and (order.harm == "fill_disk" or dice.random() < 0.4),
    )


async def _harm(street, harms, dice, order):
    """Let nodes talk, and do some harm to everything meanwhile."""
    talk = asyncio.create_task(_talk(street, dice))
    if dice.random() < 0.75:
        await _served(street)
    span_s = dice.uniform(1.5, 3.5)
    names = [dice.choice(harms.possible()) for _ in range(dice.randrange(2, 6))]
    if order.harm is not None:
        names = 2 * [order.harm]
    work = [asyncio.create_task(_later(dice.uniform(0, span_s), harms, name)) for name in names]
    try:
        await asyncio.gather(asyncio.sleep(span_s), *work)
    finally:
        talk.cancel()
        await harms.undo()


async def _later(wait_s, harms, name):
    await asyncio.sleep(wait_s)
    await harms.do(name)


async def _talk(street, dice):
    while True:
        dice.choice(street.nodes).say()
        await asyncio.sleep(dice.expovariate(1 / _PACE_S))


async def _served(street):
    """Wait until something has been delivered, but not for ever: that is what harms are for."""
    end_s = time.monotonic() + 5
    while not street.held and time.monotonic() < end_s:
        street.look()
        await asyncio.sleep(0.05)


async def _settle(street, harms, patience_s):
    """Wait until all has arrived and all is well; whether the gateway is up, serves, and is done.

    It is done too when it says for long that nothing waits, whatever is missing then.
    """
    end_s = time.monotonic() + patience_s
    calm_s = idle_s = 0.0
    while time.monotonic() < end_s and calm_s < _CALM_S and idle_s < _SURE_S:
        await asyncio.sleep(_LOOK_S)
        street.look()
        well = _is_well(street)
        calm_s = calm_s + _LOOK_S if well and _is_complete(street, harms) else 0.0
        idle_s = idle_s + _LOOK_S if well and street.accounts.waiting == 0 else 0.0
    return calm_s >= _CALM_S or idle_s >= _SURE_S


def _is_well(street):
    up = street.gateway.pid is not None and street.accounts.connected
    return up and all(node.drained for node in street.nodes) and street.accounts.fresh


def _is_complete(street, harms):
    missing, doubtful = missing_of(street, harms.excusable)
    return not missing and unaccounted(street, doubtful) == 0
