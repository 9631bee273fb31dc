"""What the demonstration starts: which nodes, with which settings and keys."""

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lilong_tools.demo.ledger import Channel
from lilong_tools.errors import ToolError
from lilong_tools.recording import Recording

PRIVATE = 2
"""The lowest privacy class that goes north only with a grant."""

TRACE = "trace.log"
BLE = "ble"
SERIAL = "serial"
LINKS = (BLE, SERIAL)

_FIRST_EUI = 0x0212_4B00_0000_0001
_REPORT_MS = 500
_BATCH_MS = 2000
_BATCH_READINGS = 60
_OWN = "health"
_JOURNAL_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Scene:
    """A named scenario as it is shown: the hour at which its world begins, how fast it turns."""

    name: str
    title: str
    speed: float
    start_hour: float


NAMED = (
    Scene("bicycle", "bicycle parking", 120.0, 8.0),
    Scene("elevator", "elevator", 4.0, 8.0),
    Scene("vitals", "vital signs", 20.0, 23.0),
    Scene("crowd", "crowd density", 60.0, 18.0),
    Scene("river", "river", 600.0, 6.0),
)


@dataclass(frozen=True, slots=True)
class NodePlan:
    """One node: what it is called, its settings.json, its key, its recording if it plays one."""

    label: str
    title: str
    settings: Mapping[str, Any]
    key: bytes
    recording: Recording | None = None
    own: Sequence[Mapping[str, Any]] = ()
    """The channels in which the node tells of itself."""

    chips: Mapping[str, Any] | None = None
    """What hangs on its buses, for chips.json."""

    @property
    def eui(self) -> str:
        """EUI-64 as 16 hexadecimal digits."""
        return str(self.settings["eui"])

    @property
    def on_ble(self) -> bool:
        """Whether it talks over BLE, and not over a serial line."""
        return self.settings.get("link") == BLE

    def over(self, link: str) -> "NodePlan":
        """Return the same node on that link, BLE or SERIAL."""
        title = f"{self.title} (BLE)" if link == BLE else self.title
        return replace(self, title=title, settings={**self.settings, "link": link})

    @property
    def channels(self) -> list[Channel]:
        """The channels, for the ledger."""
        return [
            Channel(one["number"], one["name"], one["unit"], one["exponent"], one["time_exponent"])
            for one in (*self.settings["channels"], *self.own)
        ]

    @property
    def private(self) -> list[str]:
        """The privacy classes of its channels which need a grant: "P2", "P3"."""
        classes = {one["privacy"] for one in self.settings["channels"]}
        return [f"P{number}" for number in sorted(classes) if number >= PRIVATE]


def scenario_nodes(folder: Path, count: int) -> list[NodePlan]:
    """Plan `count` nodes, the named scenarios in turn, from the tables in `folder`."""
    names = [*(scene.name for scene in NAMED), _OWN]
    tables = {name: _table(folder / f"{name}.json") for name in names}
    plans = []
    for index in range(count):
        scene, turn = NAMED[index % len(NAMED)], index // len(NAMED) + 1
        label = scene.name if count <= len(NAMED) else f"{scene.name}-{turn}"
        table = tables[scene.name]
        sensor = dict(table["sensor"], speed=scene.speed, start_hour=scene.start_hour)
        more = {"scenario": scene.name, "channels": table["channels"], "sensor": sensor}
        settings = node_settings(index, more)
        plans.append(
            NodePlan(
                label, scene.title, settings, secrets.token_bytes(16), own=tables[_OWN]["channels"]
            )
        )
    return plans


def over_links(plans: Sequence[NodePlan], links: Sequence[str]) -> list[NodePlan]:
    """Put the nodes on these links in turn."""
    return [plan.over(links[index % len(links)]) for index, plan in enumerate(plans)]


def driver_nodes(folder: Path) -> list[NodePlan]:
    """Plan a node for each driver, with its simulated chip, from the benches in `folder`."""
    own = _table(folder.parents[1] / "scenarios" / f"{_OWN}.json")["channels"]
    plans = []
    for index, path in enumerate(sorted(folder.glob("*.json"))):
        bench = _table(path)
        settings = node_settings(index, bench["settings"])
        plans.append(
            NodePlan(
                path.stem,
                bench["title"],
                settings,
                secrets.token_bytes(16),
                own=own,
                chips=bench["chips"],
            )
        )
    return plans


def playing_s(plans: Sequence[NodePlan]) -> float | None:
    """Give the seconds until the last recording is over, None when none is played."""
    spans = [
        plan.recording.span_s / float(plan.settings["sensor"]["speed"])
        for plan in plans
        if plan.recording is not None
    ]
    return max(spans, default=None)


def node_settings(index: int, more: Mapping[str, Any]) -> dict[str, Any]:
    """Give settings.json of the node of that number, from 0; `more` says what it measures."""
    return {
        "eui": f"{_FIRST_EUI + index:016x}",
        "report_ms": _REPORT_MS,
        "batch_ms": _BATCH_MS,
        "batch_readings": _BATCH_READINGS,
        "journal_bytes": _JOURNAL_BYTES,
        "trace": TRACE,
        "seed": index + 1,
        **more,
    }


def _table(path: Path) -> Mapping[str, Any]:
    try:
        table: Mapping[str, Any] = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ToolError(
            f"{path} cannot be read ({error})", "run from a clone, after `make setup`"
        ) from error
    return table
