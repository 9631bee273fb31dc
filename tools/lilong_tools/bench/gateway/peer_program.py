"""Run as `python peer_program.py PACKAGE FOLDER RECORDS`: prints what the storage takes, as JSON.

PACKAGE is the folder that thingsboard-gateway is installed in, FOLDER one for its databases. Its
storage is driven through its own API: put, get_event_pack, event_pack_processing_done.
"""

import json
import logging
import sqlite3
import sys
import threading
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

_NAME = "thingsboard-gateway"
_PACKED = 60
_FEWER = 10
"""There are so many times fewer packed records: each holds 60 readings."""

_LOOK_S = 0.005
_START_MS = 1_760_000_000_000


class _Logger(logging.Logger):
    """A logger as the package makes its own: with one level more."""

    def trace(self, *_: object, **__: object) -> None:
        """Drop it."""


def record(number: int, readings: int) -> str:
    """Return what a connector hands in: 167 bytes with one reading."""
    values = {"outdoor_air_temperature": 21.37}
    start_ms = _START_MS + 60_000 * number
    telemetry = [{"ts": start_ms + 1000 * index, "values": values} for index in range(readings)]
    name = f"city-environment-station-{number % 64:04d}"
    told = {"deviceName": name, "deviceType": "environmental-node", "telemetry": telemetry}
    return json.dumps(told)


def measure(records: list[str], folder: Path) -> dict[str, float]:
    """Return records a second: put, committed, and drained afterwards."""
    from thingsboard_gateway.storage.sqlite.sqlite_event_storage import (  # type: ignore[import-not-found]  # noqa: PLC0415
        SQLiteEventStorage,
    )

    folder.mkdir()
    settings = {"data_file_path": f"{folder}/"}
    storage = SQLiteEventStorage(settings, _Logger("peer"), threading.Event())
    database = sqlite3.connect(folder / "data.db")
    began = time.perf_counter()
    if not all(storage.put(one) for one in records):
        raise RuntimeError("the storage did not take a record")
    put_s = time.perf_counter() - began
    while _stored(database) < len(records):
        time.sleep(_LOOK_S)
    committed_s = time.perf_counter() - began
    drained_s = _drain(storage, len(records))
    storage.stop()
    database.close()
    return {
        "put": len(records) / put_s,
        "committed": len(records) / committed_s,
        "drained": len(records) / drained_s,
    }


def _stored(database: sqlite3.Connection) -> int:
    return int(database.execute("SELECT max(id) FROM messages").fetchone()[0] or 0)


def _drain(storage: Any, records: int) -> float:  # noqa: ANN401 - of the package
    began = time.perf_counter()
    left = records
    while left > 0:
        pack = storage.get_event_pack()
        left -= len(pack)
        if pack:
            storage.event_pack_processing_done()
        else:
            time.sleep(_LOOK_S)
    return time.perf_counter() - began


def main() -> None:
    """Measure both ways and print."""
    package, folder, count = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    sys.path.append(package)
    single = measure([record(number, 1) for number in range(count)], folder / "single")
    fewer = max(1, count // _FEWER)
    packed = measure([record(number, _PACKED) for number in range(fewer)], folder / "packed")
    found = {
        "name": _NAME,
        "version": version(_NAME),
        "record_bytes": len(record(0, 1)),
        "records": count,
        "readings_per_s": single["committed"],
        "packed_readings_per_s": packed["committed"] * _PACKED,
        "queued_readings_per_s": single["put"],
        "drained_readings_per_s": single["drained"],
        "fsync": False,
    }
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
