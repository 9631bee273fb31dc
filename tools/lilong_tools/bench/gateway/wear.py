"""Bytes that this process has had written to disk."""

from pathlib import Path

WRITE_BYTES = "write_bytes"
"""What went to the block layer, in whole pages: what a flash sees before its own amplification."""

WCHAR = "wchar"
"""What was given to write calls, where the file system does not tell (tmpfs, overlays)."""


def written() -> dict[str, int]:
    """Return both counters of /proc/self/io: proc(5)."""
    lines = Path("/proc/self/io").read_text("ascii").splitlines()
    found = dict(line.split(": ") for line in lines)
    return {name: int(found[name]) for name in (WRITE_BYTES, WCHAR)}


def written_since(before: dict[str, int]) -> tuple[int, str]:
    """Return how many bytes were written since then, and which counter says so."""
    now = written()
    name = WRITE_BYTES if now[WRITE_BYTES] > before[WRITE_BYTES] else WCHAR
    return now[name] - before[name], name
