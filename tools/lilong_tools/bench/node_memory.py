"""The memory of a node: what start, code and a long run take, on MicroPython with 32-bit words.

The code is loaded as .mpy, as it is frozen into the image of a device.
"""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

import lilong_protocol
from lilong_protocol.manifest import APPLICATION
from lilong_tools.errors import ToolError
from lilong_tools.update.compiler import compile_module
from lilong_tools.update.imports import segment_name, source_tree
from lilong_tools.update.keys import SigningKey
from lilong_tools.update.release import Terms, signed, unsigned
from lilong_tools.vnode.folder import installed_firmware

HEAP_KIB = 160
"""Heap in which the whole application runs, its code and that of the base included."""

SHIMS_KIB = 6
"""What stands in for the chip (machine, esp32) takes of the heap; no chip loads it."""

SCENARIOS = ("bicycle", "crowd", "elevator", "river", "vitals")
WEEK_S = 7 * 86400

_EUI = "02124b0000000001"
_WEEK = "week.py"
_SHIMS = ("jumping.py", "machine.py", "esp32.py")
_BASE = ("loader.py", "bootstate.py")
_PLACE = "m"
"""Where a node finds its modules, as short as the name of a slot: it holds their paths."""

_COSTS = "on_node_costs.py"
_GATEWAY_KIB = 13
"""What the gateway in the same process holds: its session, its candidate, the line's buffers."""

_SHORT_S = 600
_ROOMY_KIB = 1024
_PATIENCE_S = 3600
_SETTLED = 24
"""Hours until the first measure that growth counts from, where the run is longer than that."""


def measure_memory(
    micropython32: Path, seconds: int = WEEK_S, scenarios: Sequence[str] = SCENARIOS
) -> dict[str, Any]:
    """Run these scenarios for so long on a virtual clock; return what `lilong bench node` prints.

    heap_used_after_start: bytes beside the code, a gateway's session in the same process
    included; code_bytes: what stays after the start, the loader of the base left out;
    heap_growth_week: bytes between the first day and the last; each the worst of the scenarios.
    failed_allocations: runs that ended for want of memory, in a heap of heap_kib and what the
    harness itself takes. encode_ms, seal_ms: of one batch of 60 readings. ota_verify_ms: of the
    manifest of the whole application.
    ToolError without mpy-cross, or when a run fails for another reason.
    """
    with compiled_node() as modules:
        runs = {name: run_node(micropython32, modules, name, seconds) for name in scenarios}
        costs = json.loads(_run(micropython32, modules, modules, _COSTS, [], _ROOMY_KIB))
    lasted = [run for run in runs.values() if run is not None]
    if not lasted:
        raise ToolError(f"no node lasted in {HEAP_KIB} KiB", "see what takes its memory")
    return {
        "heap_used_after_start": max(run["heap"][0] - run["imported"] for run in lasted),
        "code_bytes": lasted[0]["code"],
        "heap_growth_week": max(growth(run["heap"]) for run in lasted),
        "heap_kib": HEAP_KIB,
        "failed_allocations": len(runs) - len(lasted),
        "simulated_s": min(run["seconds"] for run in lasted),
        "batches": sum(run["batches"] for run in lasted),
        **costs,
    }


def growth(hourly: Sequence[int]) -> int:
    """Return by how much the least use grew from the first quarter (at most a day) to the last."""
    span = max(1, min(_SETTLED, len(hourly) // 4))
    return min(hourly[-span:]) - min(hourly[:span])


def run_node(
    micropython: Path, modules: Path, scenario: str, seconds: int
) -> Mapping[str, Any] | None:
    """Run one scenario in the heap of a device; None when it ended for want of memory."""
    with tempfile.TemporaryDirectory(prefix="lilong-bench-") as name:
        folder = Path(name)
        _write_folder(folder, scenario)
        words = [str(min(seconds, _SHORT_S)), "measure"]
        short = json.loads(_run(micropython, modules, folder, _WEEK, words, _ROOMY_KIB))
    with tempfile.TemporaryDirectory(prefix="lilong-bench-") as name:
        folder = Path(name)
        _write_folder(folder, scenario)
        heap_kib = HEAP_KIB + _GATEWAY_KIB + (short["harness"] + 1023) // 1024
        try:
            said = _run(micropython, modules, folder, _WEEK, [str(seconds)], heap_kib)
        except _OutOfMemoryError:
            return None
    found: dict[str, Any] = json.loads(said)
    return {**found, "imported": short["imported"], "code": short["code"]}


@contextmanager
def compiled_node() -> Iterator[Path]:
    """Give a folder with the node's modules as .mpy and the programs of this bench."""
    firmware = installed_firmware().program.parent
    with tempfile.TemporaryDirectory(prefix="lilong-mpy-") as name:
        target = Path(name)
        for package in (firmware / "lilong_firmware", Path(lilong_protocol.__file__).parent):
            for source in sorted(package.rglob("*.py")):
                if "virtual" not in source.parts:
                    place = source.relative_to(package.parent)
                    _compile(source, target / place, ".".join(place.with_suffix("").parts))
        for base in _BASE:
            _compile(firmware / base, target / base, Path(base).stem)
        shutil.copy(firmware / "main.py", target)
        virtual = firmware / "lilong_firmware" / "virtual"
        for shim in _SHIMS:
            _compile(virtual / shim, target / shim, Path(shim).stem)
        shutil.copy(virtual / _WEEK, target)
        shutil.copy(Path(__file__).with_name(_COSTS), target)
        _write_manifest(target)
        yield target


def _write_manifest(modules: Path) -> None:
    """Sign the manifest of an update with all modules of the application."""
    key = SigningKey(Ed25519PrivateKey.generate())
    tree = source_tree(None).modules()
    names = [segment_name(module, path) for module, path in tree.items()]
    files = {name: (modules / name).read_bytes() for name in names}
    bundle = signed(unsigned(Terms("lilong-unix", 1, 0, "bench"), APPLICATION, files), key)
    (modules / "manifest.cose").write_bytes(bundle.manifest)
    (modules / "update.pub").write_bytes(key.public)


def _compile(source: Path, target: Path, module: str) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.with_suffix(".mpy").write_bytes(compile_module(module, source))


def _write_folder(folder: Path, scenario: str) -> None:
    tables = installed_firmware().program.parent / "lilong_firmware" / "scenarios"
    table = json.loads((tables / f"{scenario}.json").read_text("utf-8"))
    (folder / "settings.json").write_text(json.dumps({**table, "eui": _EUI}))
    (folder / "key.bin").write_bytes(os.urandom(16))


class _OutOfMemoryError(Exception):
    """The node ended with a MemoryError."""


def _run(
    micropython: Path,
    modules: Path,
    folder: Path,
    program: str,
    words: Sequence[str],
    heap_kib: int,
) -> str:
    place = folder / _PLACE
    if not place.is_symlink():
        place.symlink_to(modules)
    done = subprocess.run(
        [micropython, "-X", f"heapsize={heap_kib}k", modules / program, *words],
        cwd=folder,
        env={**os.environ, "MICROPYPATH": f"{_PLACE}:.frozen", "VNODE_EUI": _EUI},
        capture_output=True,
        text=True,
        check=False,
        timeout=_PATIENCE_S,
    )
    said = done.stdout + done.stderr
    crashes = folder / "crash.txt"
    if crashes.exists():
        said += crashes.read_text("utf-8", "replace")
    if "MemoryError" in said:
        raise _OutOfMemoryError
    if done.returncode != 0 or crashes.exists():
        raise ToolError(f"the node failed: {said.strip()[-300:]}", "see whether it runs at all")
    # The console comes before: what the node had to say.
    return done.stdout.strip().split("\n")[-1]
