import pytest

from lilong_gateway.config import Grant
from lilong_gateway.privacy import Privacy
from lilong_gateway.store.records import Row, Slot
from lilong_gateway.uplink.render import Renderer
from lilong_protocol.blocks import encode_series, encode_table
from lilong_protocol.descriptor import Channel, encode_descriptor

EUI = bytes.fromhex("0a1b2c3d4e5f6071")
OTHER = bytes.fromhex("0a1b2c3d4e5f6072")
DESCRIPTOR = encode_descriptor(
    1,
    [
        Channel(0, "level", "m", 0, 0, 0, ""),
        Channel(1, "people", "", 0, 0, 1, ""),
        Channel(2, "power", "W", 0, 0, 2, ""),
        Channel(3, "heart", "beat/min", 0, 0, 3, ""),
    ],
)
TABLE = encode_table([0, 1], [(0, [11, 12]), (2, [31, 32]), (3, [8881, 8882]), (9, [41, 42])])


def row(item: bytes, eui: bytes = EUI, descriptor: bytes | None = DESCRIPTOR) -> Row:
    return Row(1, Slot(eui, 7, 2, 0), "synced", None, descriptor, item)


def renderer(form: str, *grants: Grant) -> Renderer:
    return Renderer("lilong/s/g", form, Privacy(frozenset({0, 1}), grants))


def payload(render: Renderer, found: Row) -> bytes:
    publication = render.publication(found, "89abcdef")
    return b"" if publication is None else publication.payload


@pytest.mark.parametrize("form", ["senml+cbor", "senml+json"])
def test_classes_that_are_not_released_stay_out_of_a_mixed_batch(form: str) -> None:
    sent = payload(renderer(form), row(TABLE))
    assert sent.count(b"level") == 2
    assert b"power" not in sent
    assert b"heart" not in sent


def test_a_channel_that_nobody_described_does_not_leave() -> None:
    render = renderer("senml+json", Grant(EUI, frozenset({0, 1, 2, 3}), "all"))
    sent = payload(render, row(TABLE))
    assert b"8881" in sent
    assert b"41" not in sent


def test_a_grant_is_for_its_node_and_its_classes_only() -> None:
    render = renderer("senml+json", Grant(EUI, frozenset({3}), "consent"))
    assert b"heart" in payload(render, row(TABLE))
    assert b"power" not in payload(render, row(TABLE))
    assert b"heart" not in payload(render, row(TABLE, OTHER))


def test_a_batch_with_nothing_left_is_counted_as_withheld() -> None:
    render = renderer("senml+json")
    assert render.publication(row(encode_series(3, [0, 1], [70, 71])), "89abcdef") is None
    assert render.counters.withheld == 1


def test_a_batch_without_a_description_does_not_leave() -> None:
    render = renderer("senml+json")
    assert render.publication(row(TABLE, descriptor=None), "89abcdef") is None
    assert render.counters.undescribed == 1


@pytest.mark.parametrize("time", [1 << 40, (1 << 64) - 1])
def test_a_time_without_a_date_is_counted_and_stays(time: int) -> None:
    render = renderer("senml+cbor")
    assert render.publication(row(encode_series(0, [5, time], [1, 2])), "89abcdef") is None
    assert render.counters.undatable == 1


def test_a_time_that_readers_take_for_a_relative_one_stays() -> None:
    render = renderer("senml+cbor")
    item = encode_series(0, [5, 6], [1, 2], boot=1)
    found = Row(1, Slot(EUI, 7, 2, 0), "bounded", -900_000_000_000, DESCRIPTOR, item)
    assert render.publication(found, "89abcdef") is None
    assert render.counters.undatable == 1


def test_a_damaged_row_is_counted_and_passed() -> None:
    render = renderer("senml+cbor")
    assert render.publication(row(b""), "89abcdef") is None
    assert render.counters.undecodable == 1
