"""The storage of ThingsBoard IoT Gateway on the same disk, in a process of its own.

What is timed is from the first put() until the last record is committed in its database, as it
does this by itself: put() alone only queues. Two ways: a record of each reading, as its
connectors write them, and packed, 60 readings in a record, as an integrator could. Everything is
in its favour: its records are made before the clock starts, while ours are opened, decoded and
checked; and it commits without fsync (synchronous = NORMAL, which in WAL mode waits for the disk
at checkpoints only), so that a power cut takes what it has accepted, while ours is on disk.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from lilong_tools.errors import ToolError
from lilong_tools.leash import leashed

_TIMEOUT_S = 300
_PROGRAM = "peer_program.py"


def measure_peer(package: Path, records: int, folder: Path) -> dict[str, Any]:
    """Return what its storage takes; package is the folder it is installed in. ToolError."""
    program = Path(__file__).with_name(_PROGRAM)
    words = [str(program), str(package), str(folder), str(records)]
    try:
        done = subprocess.run(
            leashed([sys.executable, *words]),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ToolError("the peer does not end", "try fewer records") from None
    if done.returncode != 0:
        *_, last = ["", *done.stderr.decode("utf-8", "replace").splitlines()]
        raise ToolError(f"the peer has failed: {last}", "see whether it runs at all")
    found: dict[str, Any] = json.loads(done.stdout)
    return found
