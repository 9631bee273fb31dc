"""Radios, nodes and the gateway fail at random; nothing may be lost, doubled or altered.

LILONG_RADIO_S sets how long (8 s; from 30 s on there are more nodes, and adapters vanish and fall
mute too), LILONG_RADIO_SEED what happens (1).
"""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

# What several tests are built of lies beside them.
sys.path.insert(0, str(Path(__file__).parent))
from ble_street import PATIENCE_S, Street

SPAN_S = float(os.environ.get("LILONG_RADIO_S", "8"))
SEED = int(os.environ.get("LILONG_RADIO_SEED", "1"))
LONG = SPAN_S >= 30


@pytest.fixture
async def street(tmp_path: Path, micropython: Path, mosquitto: Path) -> AsyncIterator[Street]:
    street = Street(tmp_path, micropython, mosquitto, nodes=5 if LONG else 2, seed=SEED, hard=LONG)
    await street.open()
    yield street
    await street.close()


@pytest.mark.timeout(SPAN_S + 2 * PATIENCE_S)
async def test_whatever_happens_to_radios_and_programs_nothing_is_lost(street: Street) -> None:
    loop = asyncio.get_running_loop()
    await asyncio.sleep(2)
    end_s = loop.time() + SPAN_S
    while loop.time() < end_s:
        street.say()
        await street.harm()
        await street.moment(0.5)
    calm_s = loop.time()
    try:
        report = await street.calm()
    except TimeoutError:
        print(json.dumps(street.status(), indent=1), street.log()[-8000:])
        raise
    said = sum(len(items) for node in street.nodes for items in node.said)
    told = {
        "seed": SEED,
        "harms": dict(sorted(street.harms.items())),
        "calm_s": round(loop.time() - calm_s, 1),
        "paper_batches": said,
        **report.as_dict(),
    }
    print(json.dumps(told))
    street.account()
    assert street.harms.total() >= SPAN_S / 4
    assert report.account.faultless
    assert report.account.delivered > 0
    assert report.account.sampled == (
        report.account.delivered + report.account.unsealed + report.account.lost
    )
    assert "Traceback" not in street.log()
