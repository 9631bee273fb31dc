"""What the gateway takes: sealed frames to rows on disk, beside SQLite alone on the same disk."""

import asyncio
import os
import random
import sqlite3
import tempfile
import time
from functools import partial
from pathlib import Path

from lilong_gateway.backoff import Backoff
from lilong_gateway.examine import describe, examine
from lilong_gateway.ingest import Ingest
from lilong_gateway.store.store import Store
from lilong_protocol import cbor, events, frame, handshake
from lilong_protocol.blocks import encode_series
from lilong_protocol.description import Description, descriptor_hash
from lilong_protocol.descriptor import Channel, encode_descriptor
from lilong_protocol.gateway_session import GatewaySession
from lilong_protocol.serial import FrameReader, wrap

_EPOCH = 1
_TIME_MS = 800_000_000_000
_WINDOW = 16


class _Line:
    """One node's line: frames sealed beforehand, and the gateway's session to take them."""

    def __init__(self, number: int, items: list[bytes]) -> None:
        self.eui = number.to_bytes(8, "big")
        self.key = key = os.urandom(16)
        self.session = GatewaySession({self.eui: [key]}.get, os.urandom)
        self.reader = FrameReader()
        descriptor = encode_descriptor(1, [Channel(0, "value", "", -2, 0, 0, "")])
        digest = descriptor_hash(descriptor)
        hello = handshake.Hello(self.eui, 1, _EPOCH, 0, [0] * 4, [0] * 4, digest)
        opening = hello.pack(key, os.urandom(handshake.RANDOM_BYTES))
        (greeted,) = self.session.receive(opening, 0)
        if isinstance(greeted, events.HelloReceived):
            self.session.accept(greeted.hello, [0] * 4, _TIME_MS, 0, descriptor_known=False)
        head = handshake.welcome_head(self.session.poll(0) or b"")
        cipher = handshake.session_cipher(key, opening, head, node=True)
        description = Description(1, _TIME_MS, 1, digest, descriptor)
        self.description = cipher.seal(frame.DESCRIBE, description.pack(), frame.CONTROL_STREAM)
        self.chunks = [
            wrap(cipher.seal(frame.DATA, cbor.encode(seq) + item, frame.DATA_STREAM))
            for seq, item in enumerate(items)
        ]


def measure_gateway(
    nodes: int, batches: int, readings: int, folder: Path | None
) -> dict[str, float]:
    """Return batches and readings a second, and the ratio to SQLite storing the same rows."""
    items = [_item(readings, seq) for seq in range(batches)]
    lines = [_Line(number, items) for number in range(nodes)]
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        wall_s, cpu_s = asyncio.run(_deliver(lines, batches, Path(scratch) / "gateway"))
        limit_s = _store_alone(items, nodes, Path(scratch) / "limit.db")
    total = nodes * batches
    return {
        "batches": total,
        "readings": total * readings,
        "batches_per_s": total / wall_s,
        "readings_per_s": total * readings / wall_s,
        "cpu_us_per_batch": 1e6 * cpu_s / total,
        "sqlite_alone_batches_per_s": total / limit_s,
        "ratio_to_sqlite_alone": limit_s / wall_s,
    }


def _item(readings: int, seed: int) -> bytes:
    """A slow random walk, as of a temperature at 0.01, every 5 minutes with a gap."""
    chance = random.Random(seed)  # noqa: S311 - data, not a secret
    value, times, values = 2000, [], []
    for index in range(readings):
        value += round(chance.gauss(0, 30))
        times.append(700_000_000 + 300 * (index + (index > readings // 2)))
        values.append(value)
    return encode_series(0, times, values)


async def _deliver(lines: list[_Line], batches: int, folder: Path) -> tuple[float, float]:
    """Return wall and processor seconds from the first byte read to the last row on disk."""
    store = Store(folder)
    committed = asyncio.Event()
    ingest = Ingest(store, committed, Backoff(random.random, 0.1, 1.0))
    await store.open()
    task = asyncio.create_task(ingest.run())
    for line in lines:
        _take(line, line.description, ingest)
    await _settled(ingest, committed)
    began, cpu = time.perf_counter(), time.process_time()
    for start in range(0, batches, _WINDOW):
        for line in lines:
            for chunk in line.chunks[start : start + _WINDOW]:
                for data in line.reader.feed(chunk):
                    _take(line, data, ingest)
        await _settled(ingest, committed)
        for line in lines:
            line.session.poll(0)
    wall_s, cpu_s = time.perf_counter() - began, time.process_time() - cpu
    stored = ingest.counters.batches
    task.cancel()
    await store.close()
    if stored != batches * len(lines):
        raise RuntimeError(f"stored {stored} of {batches * len(lines)} batches")
    return wall_s, cpu_s


def _take(line: _Line, data: bytes, ingest: Ingest) -> None:
    for event in line.session.receive(data, 0):
        if isinstance(event, events.BatchReceived):
            done = partial(line.session.stored, event.epoch, event.stream, event.seq)
            ingest.offer(examine(event, _TIME_MS), done)
        elif isinstance(event, events.Described):
            ingest.offer(describe(event, line.key), line.session.described)


async def _settled(ingest: Ingest, committed: asyncio.Event) -> None:
    while ingest.waiting:
        committed.clear()
        await committed.wait()


def _store_alone(items: list[bytes], nodes: int, path: Path) -> float:
    """Return the seconds that SQLite takes for the same rows in the same groups, unchecked."""
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("PRAGMA synchronous=FULL")
    database.execute("CREATE TABLE batch (node, seq, item, PRIMARY KEY (node, seq))")
    began = time.perf_counter()
    for start in range(0, len(items), _WINDOW):
        group = list(enumerate(items[start : start + _WINDOW], start))
        rows = [(node, seq, item) for node in range(nodes) for seq, item in group]
        database.execute("BEGIN")
        database.executemany("INSERT INTO batch VALUES (?, ?, ?)", rows)
        database.execute("COMMIT")
    elapsed_s = time.perf_counter() - began
    database.close()
    return elapsed_s
