"""All parts of `lilong bench ble`, one after the other, and what is asked of their figures."""

import asyncio
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lilong_tools.bench.ble.adverts import measure_adverts
from lilong_tools.bench.ble.goodput import measure_goodput
from lilong_tools.bench.ble.visits import Plan, measure_round

_ALARMING = 4
"""One of so many nodes raises an alarm."""

_WRONG = ("lost", "duplicated", "alarms_unheard", "goodput_lost", "goodput_duplicated")
"""What must be 0."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What to measure: limit_s is for the gateway's work of one part, listen_s for adverts."""

    nodes: int
    slots: int
    kilobytes: int
    limit_s: float
    listen_s: float


def measure_ble(wish: Wish, micropython: Path) -> dict[str, Any]:
    """Return the figures; ToolError when something does not run at all."""
    with tempfile.TemporaryDirectory(prefix="lilong-bench-") as folder:
        return asyncio.run(_measure(wish, micropython, Path(folder)))


def is_sound(found: Mapping[str, Any]) -> bool:
    """Whether everything arrived, and once."""
    return found["round_s"] is not None and not any(found[name] for name in _WRONG)


def lines(found: Mapping[str, Any]) -> Iterator[str]:
    """Yield a table for a person: each figure beside what is asked of it, or its peer."""
    alarm, confirmed = found["alarm_ms"], found["confirmed_ms"]
    yield _row("", "measured", "asked for, or peer")
    yield _row("round, s", found["round_s"], "180 at most")
    yield _row("  nodes / slots", f"{found['nodes']} / {found['slots']}", "")
    yield _row("  readings lost / doubled", f"{found['lost']} / {found['duplicated']}", "0 / 0")
    yield _row("alarm to event, p50, ms", alarm["p50"], f"{confirmed['p50']} until confirmed")
    yield _row("alarm to event, p99, ms", alarm["p99"], "1500 at most")
    yield _row("  alarms amid the drain", found["alarms"], f"{found['alarms_unheard']} unheard")
    radio = f"{found['goodput_limit_bytes_per_s']:,} by the radio"
    yield _row("goodput, B/s", f"{found['goodput_bytes_per_s']:,}", radio)
    yield _row("goodput, ratio", found["goodput_ratio"], "0.8 at least")
    offered = f"{found['adverts_offered_per_s']:g} on the air"
    yield _row("adverts/s", found["adverts_per_s"], offered)
    yield _row("  processor, ratio", found["cpu_ratio"], "0.3 at most")
    if bluez := found.get("bluez"):
        yield _row("adverts/s over D-Bus", bluez["adverts_per_s"], "a fake bluetoothd")
        yield _row("  processor, ratio", bluez["cpu_ratio"], "0.3 at most")


async def _measure(wish: Wish, micropython: Path, folder: Path) -> dict[str, Any]:
    parts = [folder / name for name in ("round", "goodput", "adverts", "bluez")]
    for part in parts:
        part.mkdir()
    alarms = max(1, wish.nodes // _ALARMING)
    plan = Plan(wish.nodes, wish.slots, alarms, wish.limit_s, parts[0], micropython)
    found = await measure_round(plan)
    found |= await measure_goodput(wish.kilobytes, wish.limit_s, parts[1], micropython)
    return found | await measure_adverts(wish.listen_s, parts[2], parts[3])


def _row(name: str, value: object, beside: str) -> str:
    return f"{name:28}{'none' if value is None else value!s:>14}   {beside}".rstrip()
