import pytest

from lilong_gateway.config import Grant
from lilong_gateway.config_uplink import FORMATS, Uplink
from lilong_gateway.privacy import Privacy
from lilong_gateway.selection import Selection
from lilong_gateway.store.records import Row, Slot
from lilong_gateway.uplink.formats import make_format
from lilong_gateway.uplink.renderer import Renderer
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


def row(
    item: bytes, eui: bytes = EUI, descriptor: bytes | None = DESCRIPTOR, stream: int = 2
) -> Row:
    return Row(1, Slot(eui, 7, stream, 0), "synced", None, descriptor, item, one_in=2)


def renderer(*grants: Grant, selection: Selection | None = None) -> Renderer:
    return Renderer(Privacy(frozenset({0, 1}), grants), selection)


def payload(render: Renderer, found: Row, form: str = "senml+json") -> bytes:
    """Return all that a connection of this format is sent: topics and payloads."""
    telemetry = render.telemetry(found, "89abcdef")
    if telemetry is None:
        return b""
    sink = make_format(Uplink("broker", format=form, device="g"), "lilong/s/g")
    sent = [*sink.begin(), *sink.messages([telemetry])]
    return b"\n".join(message.topic.encode() + b" " + message.payload for message in sent)


@pytest.mark.parametrize("form", FORMATS)
def test_classes_that_are_not_released_stay_out_of_a_mixed_batch(form: str) -> None:
    sent = payload(renderer(), row(TABLE, stream=0), form)
    assert sent.count(b"level") >= 2
    assert b"power" not in sent
    assert b"heart" not in sent


def test_a_channel_that_nobody_described_does_not_leave() -> None:
    render = renderer(Grant(EUI, frozenset({0, 1, 2, 3}), "all"))
    sent = payload(render, row(TABLE))
    assert b"8881" in sent
    assert b"41" not in sent


def test_a_grant_is_for_its_node_and_its_classes_only() -> None:
    render = renderer(Grant(EUI, frozenset({3}), "consent"))
    assert b"heart" in payload(render, row(TABLE))
    assert b"power" not in payload(render, row(TABLE))
    assert b"heart" not in payload(render, row(TABLE, OTHER))


def test_a_batch_with_nothing_left_is_counted_as_withheld() -> None:
    render = renderer()
    assert render.telemetry(row(encode_series(3, [0, 1], [70, 71])), "89abcdef") is None
    assert render.counters.withheld == 1


def test_a_batch_without_a_description_does_not_leave() -> None:
    render = renderer()
    assert render.telemetry(row(TABLE, descriptor=None), "89abcdef") is None
    assert render.counters.undescribed == 1


@pytest.mark.parametrize("time", [1 << 40, (1 << 64) - 1])
def test_a_time_without_a_date_is_counted_and_stays(time: int) -> None:
    render = renderer()
    assert render.telemetry(row(encode_series(0, [5, time], [1, 2])), "89abcdef") is None
    assert render.counters.undatable == 1


def test_a_time_that_readers_take_for_a_relative_one_stays() -> None:
    render = renderer()
    item = encode_series(0, [5, 6], [1, 2], boot=1)
    found = Row(1, Slot(EUI, 7, 2, 0), "bounded", -900_000_000_000, DESCRIPTOR, item)
    assert render.telemetry(found, "89abcdef") is None
    assert render.counters.undatable == 1


def test_a_damaged_row_is_counted_and_passed() -> None:
    render = renderer()
    assert render.telemetry(row(b""), "89abcdef") is None
    assert render.counters.undecodable == 1


def test_what_goes_is_told_with_its_stream_and_how_it_was_kept() -> None:
    telemetry = renderer().telemetry(row(TABLE, stream=1), "89abcdef", late=True)
    assert telemetry is not None
    assert (telemetry.stream, telemetry.one_in, telemetry.late) == (1, 2, True)
    assert [channel.name for channel in telemetry.channels] == ["level", "people"]


@pytest.mark.parametrize(
    ("selection", "passed"),
    [
        (Selection(streams=frozenset({0})), False),
        (Selection(streams=frozenset({0, 2})), True),
        (Selection(nodes=frozenset({OTHER})), False),
        (Selection(nodes=frozenset({OTHER, EUI})), True),
        (Selection(channels=("Level", "peopl?")), False),
        (Selection(channels=("x*", "lev*")), True),
    ],
)
def test_a_sink_is_sent_what_it_selects(selection: Selection, passed: bool) -> None:
    render = renderer(selection=selection)
    assert (render.telemetry(row(TABLE), "89abcdef") is not None) == passed
    assert render.counters.filtered == (not passed)


def test_a_selection_lets_nothing_through_that_privacy_keeps() -> None:
    render = renderer(selection=Selection(channels=("heart", "level")))
    sent = payload(render, row(TABLE))
    assert b"level" in sent
    assert b"heart" not in sent
    assert render.telemetry(row(encode_series(3, [0, 1], [70, 71])), "89abcdef") is None
    assert (render.counters.withheld, render.counters.filtered) == (1, 0)


def test_channels_that_a_sink_does_not_select_stay_out_of_a_mixed_batch() -> None:
    both = encode_table([0, 1], [(0, [11, 12]), (1, [21, 22])])
    render = renderer(selection=Selection(channels=("people",)))
    sent = payload(render, row(both))
    assert b"people" in sent
    assert b"level" not in sent


def test_the_selection_is_that_of_the_configured_sink() -> None:
    sink = Uplink("broker", streams=frozenset({0}), nodes=frozenset({EUI}), channels=("a*",))
    assert Selection.of(sink) == Selection(frozenset({0}), frozenset({EUI}), ("a*",))
