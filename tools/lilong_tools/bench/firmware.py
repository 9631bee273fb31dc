"""What a node's firmware costs and withstands, group by group, on the device's word size."""

from pathlib import Path
from typing import Any

from lilong_tools.bench.journal import measure_journal
from lilong_tools.bench.program import NodeProgram

_GROUPS = (measure_journal,)
"""Each takes a NodeProgram and gives its figures by name."""


def measure_firmware(micropython: Path) -> dict[str, Any]:
    """Return the figures of all groups; ToolError when a program fails."""
    found: dict[str, Any] = {}
    for measure in _GROUPS:
        found |= measure(NodeProgram(micropython))
    return found
