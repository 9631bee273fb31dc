import dataclasses
import json
from decimal import Decimal
from typing import Any

import cbor2
import pytest
from batches import telemetry as telemetry_of
from hypothesis import given, settings
from hypothesis import strategies as st

from lilong_gateway import senml
from lilong_protocol.descriptor import Channel

EUI = bytes.fromhex("0a1b2c3d4e5f6071")


def telemetry(times: list[int], values: list[int], exponent: int = -3) -> senml.Telemetry:
    channel = Channel(0, "level", "m", exponent, -3, 0, "water level")
    columns = [senml.Column(channel, values)]
    return senml.Telemetry(EUI, "0000cafe.2.7", "89abcdef", 12, "synced", times, -3, columns)


def read_json(batch: senml.Telemetry) -> Any:
    return json.loads(senml.write_json(batch), parse_float=Decimal, parse_int=Decimal)


def test_a_pack_in_json() -> None:
    times = [1_766_000_000_125, 1_766_000_001_125]
    assert senml.write_json(telemetry(times, [-1002, 5])) == (
        b'[{"bn":"urn:dev:mac:0a1b2c3d4e5f6071:","bt":1766000000.125,"batch":"0000cafe.2.7",'
        b'"store":"89abcdef","pos":12,"tq":"synced","n":"level","u":"m","v":-1.002},'
        b'{"n":"level","u":"m","v":0.005,"t":1.000}]'
    )


def test_a_pack_in_cbor_uses_the_labels_of_rfc_8428() -> None:
    batch = telemetry([1_766_000_000_125, 1_766_000_001_125], [-1002, 5000])
    assert cbor2.loads(senml.write_cbor(batch)) == [
        {
            -2: "urn:dev:mac:0a1b2c3d4e5f6071:",
            -3: Decimal("1766000000.125"),
            "batch": "0000cafe.2.7",
            "store": "89abcdef",
            "pos": 12,
            "tq": "synced",
            0: "level",
            1: "m",
            2: Decimal("-1.002"),
        },
        {0: "level", 1: "m", 2: 5, 6: 1},
    ]


def test_records_are_in_time_order_whatever_the_order_of_sampling() -> None:
    pack = read_json(telemetry([5000, 2000, 9000], [1, 2, 3]))
    assert [str(record["v"]) for record in pack] == ["0.002", "0.001", "0.003"]
    assert pack[0]["bt"] == 2
    assert [record.get("t") for record in pack] == [None, 3, 7]


@pytest.mark.parametrize(
    ("times", "offset_ms", "exponent", "expected"),
    [
        ([10], None, 0, ([946_684_810], 0)),
        ([10], None, -3, ([946_684_800_010], -3)),
        ([10], 5000, 0, ([946_684_805_010], -3)),
    ],
)
def test_times_become_unix_times_in_their_own_unit(
    times: list[int], offset_ms: int | None, exponent: int, expected: tuple[list[int], int]
) -> None:
    assert senml.unix_times(times, offset_ms, exponent) == expected


@given(st.integers(-(2**64), 2**64 - 1), st.integers(-24, 18))
def test_every_value_arrives_exactly(value: int, exponent: int) -> None:
    batch = telemetry([0], [value], exponent)
    exact = Decimal((value < 0, tuple(map(int, str(abs(value)))), exponent))
    assert read_json(batch)[0]["v"] == exact
    assert cbor2.loads(senml.write_cbor(batch))[0][2] == exact


@settings(deadline=None)
@given(telemetry_of())
def test_cbor_is_in_the_shortest_form(batch: senml.Telemetry) -> None:
    payload = senml.write_cbor(batch)
    assert cbor2.dumps(cbor2.loads(payload)) == payload


@settings(deadline=None)
@given(telemetry_of())
def test_both_forms_say_the_same(batch: senml.Telemetry) -> None:
    labels = {-2: "bn", -3: "bt", 0: "n", 1: "u", 2: "v", 6: "t"}
    pack = cbor2.loads(senml.write_cbor(batch))
    named = [{labels.get(key, key): value for key, value in record.items()} for record in pack]
    assert named == read_json(batch)


def test_what_is_thinned_or_late_is_told_with_the_batch() -> None:
    batch = dataclasses.replace(telemetry([5000, 6000], [1, 2]), one_in=8, late=True)
    first, second = read_json(batch)
    assert (first["one_in"], first["late"]) == (8, True)
    assert not {"one_in", "late"} & second.keys()
