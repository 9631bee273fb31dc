"""A gateway at one moment, all well; a test says what is otherwise."""

from dataclasses import replace

from lilong_gateway.health.pulse import Beat
from lilong_gateway.health.snapshot import ADAPTER, PORT, Ingested, Sink, Snapshot, Source, Stored
from lilong_gateway.health.verdict import Limits

NOW_MS = 10_000_000
LIMITS = Limits(quiet_ms=900_000, stale_ms=20_000)

INGESTED = Ingested(
    queued=0,
    trouble="",
    moved_ms=NOW_MS - 500,
    stands_ms=None,
    counted={"batches": 12, "readings": 720, "quarantined": 0},
)
PORT_0 = Source(
    name="/dev/ttyUSB0",
    kind=PORT,
    state="open",
    well=True,
    begun_ms=0,
    moved_ms=NOW_MS - 3000,
    batches=9,
    refused={"damaged": 4},
)
HCI0 = replace(PORT_0, name="hci0", kind=ADAPTER, state="listening", batches=3, refused={})
CITY = Sink(
    name="city",
    where="broker.example.org:8883",
    connected="5",
    trouble="",
    confirmed=11,
    waiting=1,
    replaying=False,
    moved_ms=NOW_MS - 2000,
    stands_ms=NOW_MS - 2000,
    counted={"published": 11},
)
STORED = Stored(
    trouble="",
    full="",
    asked_ms=NOW_MS - 1000,
    figures={"size_bytes": 4096, "autonomy_h": 100.0},
    counted={"pruned_batches": 2},
    expired=(0, 0, 5, 1),
)
WELL = Snapshot(
    gateway="g",
    site="s",
    taken_ms=NOW_MS - 200,
    started_ms=0,
    serving=True,
    stopping=False,
    clock_set=True,
    beats=(Beat("ingest", busy=False, since_ms=NOW_MS - 9000, frozen=False),),
    failures={},
    failing={},
    sources=(PORT_0, HCI0),
    sinks=(CITY,),
    ingest=INGESTED,
    store=STORED,
    nodes={"registered": 2, "heard": 2},
    keys_trouble="",
    ready={"updates": 1},
    downlink={"told": 1},
    downlink_troubles=0,
)
