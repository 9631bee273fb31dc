import contextlib
import json
import random
import sqlite3
from decimal import Decimal
from pathlib import Path

import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lilong_gateway.senml import Column, Telemetry
from lilong_gateway.uplink.formats.canonical import Canonical
from lilong_protocol.descriptor import Channel
from lilong_tools.city.arrivals import Arrivals
from lilong_tools.city.measures import measure, sentences
from lilong_tools.city.outline import outline_of
from lilong_tools.city.pack import PackError, read_pack, to_cbor
from lilong_tools.city.parts import Cutter
from lilong_tools.city.receipts import Held, receipts_of
from lilong_tools.city.store import Arrival, CityStore

TOPIC = "lilong/site/gw"
MANY = f"{TOPIC}/telemetry/many"
FORMS = ("senml+cbor", "senml+json")
LEVEL = Channel(0, "level", "m", -3, -3, 0, "")
COUNT = Channel(1, "count", "", 0, -3, 0, "")


def batch(pos: int, node: int = 1, one_in: int = 1, late: bool = False) -> Telemetry:
    times = [1_700_000_000_000 + 1000 * pos + step for step in (0, 250)]
    columns = [Column(LEVEL, [pos, -pos]), Column(COUNT, [7, 8])]
    eui = (2 << 56 | node).to_bytes(8, "big")
    name = f"0000000a.2.{pos}"
    return Telemetry(
        *(eui, name, "0badcafe", pos, "synced", times, -3, columns), one_in=one_in, late=late
    )


def many(batches: list[Telemetry], form: str = "senml+cbor") -> bytes:
    (message,) = Canonical(TOPIC, form).messages(batches)
    return message.payload


def arrival(payload: bytes, topic: str = MANY) -> Arrival:
    return Arrival(topic, payload, 1_700_000_100_000)


@pytest.fixture
def store(tmp_path):
    store = CityStore(tmp_path / "city.db")
    yield store
    store.close()


@pytest.mark.parametrize("form", FORMS)
def test_each_batch_of_a_message_has_its_own_row(store, tmp_path, form):
    batches = [batch(1), batch(2, one_in=4, late=True), batch(1, node=2)]
    held = store.commit([arrival(many(batches, form))])
    assert held == [Held("site", "gw", "0badcafe", pos) for pos in (1, 2, 1)]
    arrivals = Arrivals(tmp_path / "city.db")
    assert [one.readings for one in arrivals.fresh()] == [4, 4, 4]
    first, second = (pack for _, pack in arrivals.packs("0200000000000001"))
    assert (second.one_in, second.late, second.position) == (4, True, 2)
    assert [(r.name, r.unit, r.time, r.value) for r in first.records] == [
        ("level", "m", Decimal(1_700_000_001), Decimal("0.001")),
        ("count", "", Decimal(1_700_000_001), Decimal(7)),
        ("level", "m", Decimal("1700000001.25"), Decimal("-0.001")),
        ("count", "", Decimal("1700000001.25"), Decimal(8)),
    ]
    with contextlib.closing(sqlite3.connect(tmp_path / "city.db")) as database:
        rows = database.execute("SELECT one_in, late, newest_ms FROM batch ORDER BY id").fetchall()
    assert rows == [
        (1, 0, 1_700_000_001_250),
        (4, 1, 1_700_000_002_250),
        (1, 0, 1_700_000_001_250),
    ]


@pytest.mark.parametrize("form", FORMS)
def test_a_batch_out_of_many_is_kept_in_the_bytes_it_has_alone(form):
    batches = [batch(1), batch(2), batch(3, node=2)]
    parts = Cutter().parts(many(batches, form))
    assert [part.payload for part in parts] == [many([one], form) for one in batches]


@pytest.mark.parametrize("form", FORMS)
def test_a_batch_that_came_alone_and_comes_among_many_is_a_repeat(store, tmp_path, form):
    alone = f"{TOPIC}/telemetry/0200000000000001"
    store.commit([arrival(many([batch(1)], form), alone)])
    store.commit([arrival(many([batch(1), batch(2)], form))])
    measures = measure(tmp_path / "city.db")
    assert (measures.batches, measures.repeats) == (2, 1)


def head(pos: int, **fields: object) -> dict[str, object]:
    base = {"bn": "urn:dev:mac:0200000000000001:", "bt": 1_700_000_000, "bu": "m"}
    identity = {"batch": f"0000000a.2.{pos}", "store": "0badcafe", "pos": pos, "tq": "synced"}
    return {**base, **identity, "n": "level", "v": 5, **fields}


def without(entry: dict[str, object], *names: str) -> dict[str, object]:
    return {name: value for name, value in entry.items() if name not in names}


@pytest.mark.parametrize("encode", [to_cbor, lambda pack: json.dumps(pack).encode()])
def test_base_fields_hold_into_the_next_batch_until_given_again(encode):
    pack = [
        head(1, bv=100),
        {"n": "count", "u": "", "v": 1},
        without(head(2), "bn", "bt", "bu"),
        head(3, bv=0, bu="s"),
    ]
    packs = [read_pack(part.payload) for part in Cutter().parts(encode(pack))]
    assert [pack.position for pack in packs] == [1, 2, 3]
    assert [[(r.unit, r.value) for r in pack.records] for pack in packs] == [
        [("m", 105), ("", 101)],
        [("m", 105)],
        [("s", 5)],
    ]
    assert packs[1].records[0].time == 1_700_000_000


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "wrong",
    [{"tq": "guessed"}, {"bt": 5}, {"n": ""}, {"one_in": 0}, {"late": 1}, {"v": "1"}, {"u": 7}],
)
def test_a_batch_that_cannot_be_read_is_refused_and_the_others_are_held(
    store, tmp_path, form, wrong
):
    entries = [head(1), head(2, **wrong), {"n": "level", "v": 6}, head(3)]
    payload = to_cbor(entries) if form == "senml+cbor" else json.dumps(entries).encode()
    held = store.commit([arrival(payload)])
    assert [(one.position, one.refused) for one in held] == [(1, False), (2, True), (3, False)]
    measures = measure(tmp_path / "city.db")
    assert (measures.batches, measures.aside) == (2, 1)


def test_a_message_that_names_no_place_is_set_aside_without_a_receipt(store, tmp_path):
    pack = [without(head(1), "store"), {**head(2), "pos": -1}]
    assert store.commit([arrival(to_cbor(pack)), arrival(b"junk")]) == []
    assert measure(tmp_path / "city.db").aside == 3


def test_refused_positions_have_a_receipt_of_their_own():
    held = [Held("s", "g", "1", 4), Held("s", "g", "1", 5, refused=True), Held("s", "g", "1", 6)]
    assert [json.loads(receipt.payload()) for receipt in receipts_of(held)] == [
        {"store": "1", "positions": [[4, 4], [6, 6]]},
        {"store": "1", "positions": [], "refused": [[5, 5]]},
    ]


def test_no_receipt_has_more_ranges_than_a_gateway_reads():
    held = [Held("s", "g", "1", pos) for pos in range(0, 2402, 2)]
    receipts = receipts_of(held)
    assert [len(receipt.positions) for receipt in receipts] == [500, 500, 201]
    assert sum((receipt.positions for receipt in receipts), ())[-1] == (2400, 2400)


def test_numbers_that_were_thinned_out_are_no_gaps(store, tmp_path):
    whole = [batch(pos) for pos in (0, 1, 4)]
    thinned = [batch(pos, one_in=4) for pos in (12, 16, 20)]
    store.commit([arrival(many([*whole, *thinned, batch(21), batch(24)]))])
    measures = measure(tmp_path / "city.db")
    # Lost: 2, 3, 5..8, 22, 23. Thinned: 9..11, 13..15, 17..19.
    assert (measures.gaps, measures.thinned) == (8, 9)
    assert sentences(measures)[-1].endswith("8 gaps in 1 streams, 9 thinned out by gateways")


def test_what_is_lost_among_thinned_batches_is_a_gap(store, tmp_path):
    store.commit([arrival(many([batch(pos, one_in=2) for pos in (0, 2, 100, 102)]))])
    measures = measure(tmp_path / "city.db")
    assert (measures.gaps, measures.thinned) == (95, 4)


def test_nothing_is_thinned_where_nothing_says_so(store, tmp_path):
    store.commit([arrival(many([batch(0), batch(5)]))])
    measures = measure(tmp_path / "city.db")
    assert (measures.gaps, measures.thinned, measures.streams) == (4, 0, 1)


def test_a_store_of_an_earlier_version_is_taken_over(tmp_path: Path):
    path = tmp_path / "city.db"
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        database.executescript("""
            CREATE TABLE city (identity TEXT NOT NULL);
            INSERT INTO city VALUES ('0123abcd');
            CREATE TABLE batch (
                id INTEGER PRIMARY KEY,
                site TEXT NOT NULL, gateway TEXT NOT NULL, eui TEXT NOT NULL, batch TEXT NOT NULL,
                store TEXT NOT NULL, pos INTEGER NOT NULL, received_ms INTEGER NOT NULL,
                newest_ms INTEGER, readings INTEGER NOT NULL, repeats INTEGER NOT NULL DEFAULT 0,
                payload BLOB NOT NULL,
                UNIQUE (eui, batch)
            );
        """)
        database.execute(
            "INSERT INTO batch (site, gateway, eui, batch, store, pos, received_ms, newest_ms,"
            " readings, payload) VALUES ('site', 'gw', '0200000000000001', '0000000a.2.1',"
            " '0badcafe', 1, 5, 4, 4, ?)",
            (many([batch(1)]),),
        )
    for _ in range(2):
        store = CityStore(path)
        assert store.identity == "0123abcd"
        store.commit([arrival(many([batch(1), batch(2, one_in=2)]))])
        store.close()
    measures = measure(path)
    assert (measures.batches, measures.repeats) == (2, 3)


# What is read the quick way is what RFC 8428 says, and nothing that it does not allow.

numbers = st.one_of(
    st.integers(-(10**45), 10**45),
    st.decimals(allow_nan=True, allow_infinity=True),
    st.sampled_from([True, None, "1", 1.5, [], Decimal("1e-41"), Decimal("1E+40"), -(2**70)]),
)
texts = st.one_of(st.text(max_size=4), st.sampled_from([5, None, [], b"x", True]))


@st.composite
def nearly_canonical(draw):
    chosen = [draw(st.integers(1, 3)) for _ in range(draw(st.integers(1, 3)))]
    entries = cbor2.loads(many([batch(pos, one_in=pos) for pos in chosen]))
    for _ in range(draw(st.integers(0, 2))):
        entry = draw(st.sampled_from(entries))
        key = draw(st.sampled_from([*entry, 1, 6, -5, 0.0, "x"]))
        entry[key] = draw(st.one_of(numbers, texts))
    return entries


@settings(deadline=None, max_examples=400)
@given(nearly_canonical())
def test_the_quick_way_and_the_whole_way_agree(entries):
    payload = cbor2.dumps(entries)
    try:
        parts = Cutter().parts(payload)
    except PackError:
        return
    for part in parts:
        if part.outline is None:
            continue
        assert part.outline == outline_of(read_pack(part.payload))


@pytest.mark.parametrize("value", ["1E-41", "1E-999999", "NaN", "Infinity", "1E+41"])
def test_a_number_of_senseless_size_is_refused_the_quick_way_too(value: str):
    entries = cbor2.loads(many([batch(1)]))
    entries[1][2] = Decimal(value)
    (part,) = Cutter().parts(cbor2.dumps(entries))
    assert part.outline is None
    assert part.place == ("0badcafe", 1)


@settings(deadline=None, max_examples=200)
@given(st.randoms(use_true_random=False), st.sampled_from(FORMS))
def test_damaged_messages_never_raise_anything_else(chance: random.Random, form: str):
    payload = bytearray(many([batch(pos) for pos in range(1, 4)], form))
    for _ in range(chance.randrange(1, 4)):
        payload[chance.randrange(len(payload))] = chance.randrange(256)
    with contextlib.suppress(PackError):
        for part in Cutter().parts(bytes(payload)):
            if part.outline is not None:
                assert outline_of(read_pack(part.payload)) == part.outline
