"""A contact that switches a siren while the gateway is gone, in the node's own time."""

import asyncio
import os
import secrets
import signal
from collections.abc import Callable
from pathlib import Path

from lilong_tools.city.arrivals import Arrivals
from lilong_tools.demo.plan import NodePlan, node_settings
from lilong_tools.demo.stage import Stage
from lilong_tools.vnode import HEAP_KIB

CONTACT_PIN, SIREN_PIN = 13, 25
SWITCHED_MS = (8000, 10000, 12000)
"""Closed, opened, closed again, in the world of the node; its pins are timed in the same."""
LIMIT_MS = 1000
"""What urgency U0 asks for, from contact to output."""


def channel(number: int, name: str, source: str) -> dict[str, object]:
    scale = {"unit": "", "exponent": 0, "time_exponent": -3, "privacy": 0}
    return {"number": number, "name": name, "source": source, **scale}


def pump_room() -> NodePlan:
    rule = {"name": "intrusion", "kind": "contact", "channel": "door", "state": 1}
    settings = {
        "sensor": {"kind": "devices"},
        "devices": {"door": {"driver": "contact", "pin": CONTACT_PIN}},
        "channels": [
            channel(0, "door", "door.closed"),
            channel(1, "alarm", "rules.intrusion"),
            channel(2, "siren", "outputs.siren"),
            channel(3, "status", "door.status"),
        ],
        "report_ms": 60000,
        "rules": [{**rule, "outputs": ["siren"]}],
        "outputs": {"siren": {"pin": SIREN_PIN, "longest_s": 60, "allow": ["intrusion"]}},
    }
    closed = [[0, 0], *([ms / 1000, 1 - n % 2] for n, ms in enumerate(SWITCHED_MS))]
    contact = {"chip": "contact", "pin": CONTACT_PIN, "closed": closed}
    key = secrets.token_bytes(16)
    plan = node_settings(0, settings)
    return NodePlan("door", "pump room", plan, key, chips={"pins": [contact]})


def switched(folder: Path) -> list[tuple[int, int]]:
    """Return (milliseconds of the world, level) of the siren's pin."""
    path = folder / "pins.log"
    lines = path.read_text().splitlines() if path.exists() else []
    rows = [[int(word) for word in line.split()] for line in lines]
    return [(at_ms, level) for at_ms, pin, level in rows if pin == SIREN_PIN]


async def until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not true():
            await asyncio.sleep(0.05)


def told(city: Arrivals, eui: str, name: str) -> list[int]:
    records = [
        record
        for _, pack in city.packs(eui)
        for record in pack.records
        if record.name.rpartition(":")[2] == name
    ]
    return [int(record.value) for record in sorted(records, key=lambda record: record.time)]


async def test_a_contact_switches_the_siren_within_a_second_of_the_node_while_the_gateway_is_dead(
    tmp_path: Path, micropython32: Path
) -> None:
    plan = pump_room()
    stage = Stage(tmp_path, [plan], None, "cbor", micropython32, HEAP_KIB)
    node = tmp_path / "nodes" / plan.label
    gateway = stage.gateway
    await stage.open()
    try:
        await until(lambda: told(stage.arrivals, plan.eui, "door"))
        gateway._ending = True  # Nobody starts it again.
        os.kill(gateway._process.pid, signal.SIGKILL)
        await until(lambda: [level for _, level in switched(node)] == [0, 1, 0, 1])
        assert not gateway.running
        delays_ms = [
            at_ms - cause_ms
            for cause_ms, (at_ms, _) in zip(SWITCHED_MS, switched(node)[1:], strict=True)
        ]
        print(f"contact to output: {delays_ms} ms of at most {LIMIT_MS}")
        assert all(0 <= delay_ms <= LIMIT_MS for delay_ms in delays_ms)
        await gateway.start()
        await until(lambda: told(stage.arrivals, plan.eui, "alarm").count(1) >= 2)
        await until(lambda: told(stage.arrivals, plan.eui, "siren")[-3:] == [1, 0, 1])
    finally:
        await stage.close()
