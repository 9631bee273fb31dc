"""Nodes that play recordings: which settings they get, and what they cannot play."""

import re
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from lilong_protocol.descriptor import MAX_CHANNEL, QUANTITY_LIMIT, Channel, encode_descriptor
from lilong_protocol.errors import RangeError
from lilong_tools.demo.plan import NodePlan, node_settings
from lilong_tools.errors import ToolError
from lilong_tools.recording import Recording

FILE = "recording.csv"
"""Under this name a node finds its recording, whatever the file is called and wherever it is."""

_PLAYING_S = 45
_LOWEST_SPEED, _HIGHEST_SPEED = 0.001, 1e6
_LABEL_LIMIT = 24


def replay_nodes(recordings: Sequence[Recording], speed: float | None) -> list[NodePlan]:
    """Plan one node for each recording, all at one speed: by default the longest ends soon.

    ToolError when a node cannot play a recording, or not at that speed.
    """
    if speed is not None and not _LOWEST_SPEED <= speed <= _HIGHEST_SPEED:
        raise ToolError(
            f"--speed {speed:g} is nothing that a node can do",
            f"give a factor from {_LOWEST_SPEED:g} to {_HIGHEST_SPEED:.0f}",
        )
    longest_s = max(recording.span_s for recording in recordings)
    pace = speed or min(max(1.0, longest_s / _PLAYING_S), _HIGHEST_SPEED)
    return [_node(index, recording, pace) for index, recording in enumerate(recordings)]


def _node(index: int, recording: Recording, pace: float) -> NodePlan:
    sensor = {
        "kind": "replay",
        "file": FILE,
        "time_column": recording.time_column,
        "value_columns": [column.index for column in recording.columns],
        "speed": pace,
        "exit_at_end": True,
    }
    more = {"scenario": "replay", "channels": _channels(recording), "sensor": sensor}
    stem = re.sub(r"[^A-Za-z0-9_-]+", "_", recording.path.stem)[:_LABEL_LIMIT]
    label = f"{stem}-{index + 1}"
    settings = node_settings(index, more)
    return NodePlan(label, recording.path.name, settings, secrets.token_bytes(16), recording)


def _channels(recording: Recording) -> list[Mapping[str, Any]]:
    """Describe the columns: with their headers as far as these fit into one descriptor."""
    furthest = max(recording.time_column, *(column.index for column in recording.columns))
    if furthest <= MAX_CHANNEL:
        for limit in (QUANTITY_LIMIT, 0):
            channels = _described(recording, limit)
            if _fits(channels):
                return channels
    raise ToolError(
        f"{recording.path}: its {len(recording.columns)} columns are too many for one node",
        "give fewer columns, or shorter headers, in a file",
    )


def _described(recording: Recording, quantity_limit: int) -> list[Mapping[str, Any]]:
    return [
        {
            "number": number,
            "name": column.name,
            "unit": "",
            "exponent": column.exponent,
            "time_exponent": recording.time_exponent,
            "privacy": 0,
            "quantity": column.header.encode("ascii", "replace").decode()[:quantity_limit],
        }
        for number, column in enumerate(recording.columns)
    ]


def _fits(channels: Sequence[Mapping[str, Any]]) -> bool:
    try:
        encode_descriptor(1, [Channel(**channel) for channel in channels])
    except RangeError:
        return False
    return True
