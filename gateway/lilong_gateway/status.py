"""The state of the gateway as JSON, for people and scripts."""

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path


def write_status(file: Path, status: Mapping[str, object]) -> bool:
    """Replace the file in one step, no reader meets half of it; False if it cannot be written."""
    beside = file.with_name(f".{file.name}.new")
    try:
        beside.write_text(json.dumps(status, indent=1) + "\n", encoding="utf-8")
        beside.replace(file)
    except OSError:
        with suppress(OSError):
            beside.unlink()
        return False
    return True
