import json
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import cbor2
import pytest
from batches import PARKING, RIVER, SAMPLED_MS, TOPIC, alarm, evidence, parking, river, telemetry
from hypothesis import given, settings
from hypothesis import strategies as st

from lilong_gateway.config_uplink import FORMATS, Uplink
from lilong_gateway.senml import Column, Telemetry
from lilong_gateway.uplink.formats import make_format
from lilong_gateway.uplink.formats.thingsboard import PAYLOAD_BYTES
from lilong_gateway.uplink.message import Format, Message
from lilong_protocol.descriptor import Channel

GOLDEN = Path(__file__).parent / "golden"
FIGURES = {"backlog_batches": 3, "site": "jingan", "autonomy_h": None}
NOW_MS = 1_790_000_000_250
Reading = tuple[str, str, Decimal, Decimal]


def made(name: str, **options: Any) -> Format:
    return make_format(Uplink("broker", format=name, **options), TOPIC)


def literal(text: bytes | str) -> Any:
    """Read JSON with its numbers as they are written."""
    return json.loads(text, parse_float=str, parse_int=str)


def exact(text: bytes) -> Any:
    return json.loads(text, parse_float=Decimal, parse_int=Decimal)


def plain(messages: Sequence[Message]) -> list[dict[str, Any]]:
    return [
        {"topic": message.topic, "type": message.content_type}
        | ({"retain": True} if message.retain else {})
        | {"payload": literal(message.payload) if message.payload else ""}
        for message in messages
    ]


def golden(name: str) -> Any:
    return literal((GOLDEN / name).read_text())


def readings(batch: Telemetry) -> Counter[Reading]:
    """Count what a batch holds: node, channel, UNIX time and value, exactly."""
    return Counter(
        (
            batch.eui.hex(),
            column.channel.name,
            Decimal(time).scaleb(batch.time_exponent),
            scaled(value, column.channel.exponent),
        )
        for column in batch.columns
        for time, value in zip(batch.times, column.values, strict=True)
    )


def scaled(value: int, exponent: int) -> Decimal:
    return Decimal((value < 0, tuple(map(int, str(abs(value)))), exponent))


def all_of(batches: Sequence[Telemetry]) -> Counter[Reading]:
    return sum(map(readings, batches), Counter())


@pytest.mark.parametrize("name", FORMATS)
def test_every_configured_format_can_be_made(name: str) -> None:
    form = made(name, device="gateway-id")
    assert form.batch_limit > 0
    platform = name in {"thingsboard", "iotda"}
    assert form.status_topic == (None if platform else f"{TOPIC}/status")


def test_a_single_batch_is_a_message_of_its_node() -> None:
    (message,) = made("senml+json").messages([river()])
    assert message.topic == f"{TOPIC}/telemetry/{RIVER.hex()}"
    assert message.content_type == "application/senml+json"
    assert message.payload == (
        b'[{"bn":"urn:dev:mac:0a1b2c3d4e5f6071:","bt":1772600767.125,"batch":"3f2a1b9c.2.17",'
        b'"store":"9c0d11e2","pos":123,"tq":"synced","n":"level","u":"m","v":1.234},'
        b'{"n":"t_w","u":"Cel","v":8.5},{"n":"level","u":"m","v":-0.005,"t":60.000},'
        b'{"n":"t_w","u":"Cel","v":8.0,"t":60.000}]'
    )


def test_many_batches_in_json_are_one_message() -> None:
    (message,) = made("senml+json").messages([river(), parking()])
    assert message.topic == f"{TOPIC}/telemetry/many"
    lines = (GOLDEN / "canonical_many.json").read_text()
    assert message.payload.decode() == lines.replace("\n", "")


def test_many_batches_in_cbor_are_one_message() -> None:
    (message,) = made("senml+cbor").messages([river(), parking()])
    lines = (GOLDEN / "canonical_many.cbor.txt").read_text().splitlines()
    expected = b"".join(bytes.fromhex(line.strip().split("   ")[0]) for line in lines)
    assert message.topic == f"{TOPIC}/telemetry/many"
    assert message.content_type == "application/senml+cbor"
    assert message.payload == expected


def test_alarms_are_events_and_other_batches_give_none() -> None:
    form = made("event+json")
    assert plain(form.messages([alarm(), river(), evidence()])) == golden("events.json")
    assert not form.messages([river()])


@pytest.mark.parametrize(("state", "told"), [(0, "cleared"), (1, "raised"), (2, "fault")])
def test_an_event_tells_its_state(state: int, told: str) -> None:
    (message,) = made("event+json").messages([alarm(state)])
    assert json.loads(message.payload)["state"] == told


def test_an_event_is_the_same_whenever_it_is_sent() -> None:
    first = made("event+json").messages([alarm(), evidence()])
    assert made("event+json").messages([alarm()]) == first[:1]


def test_thingsboard_is_told_of_devices_their_telemetry_and_the_gateway() -> None:
    form = made("thingsboard")
    form.begin()
    sent = [*form.messages([river(), alarm(), parking()]), *form.health(FIGURES, NOW_MS)]
    assert plain(sent) == golden("thingsboard.json")


def test_thingsboard_hears_of_a_device_once_a_connection() -> None:
    form = made("thingsboard")
    connects = [
        [message.topic for message in form.messages([river()])].count("v1/gateway/connect")
        for _ in range(2)
    ]
    form.begin()
    connects += [form.messages([river()])[0].topic == "v1/gateway/connect"]
    assert connects == [1, 0, 1]


def test_a_gateway_that_is_named_reports_as_that_device() -> None:
    form = made("thingsboard", device="gw at the bridge")
    connect, health = form.health(FIGURES, NOW_MS)
    assert literal(connect.payload) == {"device": "gw at the bridge", "type": "lilong-gateway"}
    assert list(literal(health.payload)) == ["gw at the bridge"]
    assert len(form.health(FIGURES, NOW_MS)) == 1


def test_iotda_is_given_the_times_of_sampling_on_a_backfill() -> None:
    form = made("iotda", device="gateway-id")
    sent = [*form.messages([river(late=True), alarm(), parking()]), *form.health(FIGURES, NOW_MS)]
    assert plain(sent) == golden("iotda.json")


def test_iotda_is_told_of_a_hundred_devices_a_message_and_not_more() -> None:
    channel = Channel(0, "level", "m", -3, -3, 0, "")
    batches = [
        Telemetry(
            number.to_bytes(8, "big"), "0000cafe.2.0", "89abcdef", number, "synced", [10**12], -3,
            [Column(channel, [number])],
        )
        for number in range(1, 251)
    ]  # fmt: skip
    sent = made("iotda", device="g").messages(batches)
    assert [len(literal(message.payload)["devices"]) for message in sent] == [100, 100, 50]


def test_home_assistant_discovers_the_node_and_the_gateway() -> None:
    form = made("homeassistant")
    sent = [*form.messages([river()]), *form.health(FIGURES, NOW_MS)]
    assert plain(sent) == golden("homeassistant.json")


def states(messages: Sequence[Message]) -> list[bytes]:
    return [message.payload for message in messages if "/state/" in message.topic]


def test_home_assistant_is_not_shown_a_value_older_than_one_it_has() -> None:
    form = made("homeassistant")
    assert states(form.messages([river()])) == [b"-0.005", b"8.0"]
    assert not form.messages([river(shift_ms=-3_600_000)])
    assert not form.messages([river(late=True, shift_ms=-1)])
    assert states(form.messages([river(late=True, shift_ms=1)])) == [b"-0.005", b"8.0"]


def test_home_assistant_is_shown_no_backlog_before_a_live_value() -> None:
    form = made("homeassistant")
    assert not states(form.messages([river(late=True)]))
    assert states(form.messages([river()]))


def test_a_value_that_was_lost_on_the_way_is_shown_again() -> None:
    form = made("homeassistant")
    first = form.messages([river()])
    form.begin()
    assert form.messages([river()]) == first


def test_home_assistant_is_told_everything_when_it_starts() -> None:
    form = made("homeassistant", discovery_prefix="ha")
    assert form.subscriptions() == ["homeassistant/status", "ha/status"]
    assert not form.heard("ha/status", b"online")
    sent = [*form.messages([river(), parking()]), *form.health(FIGURES, NOW_MS)]
    configs = {message for message in sent if message.retain}
    assert len(configs) == 3
    assert set(form.heard("homeassistant/status", b"online")) == configs
    assert not form.heard("homeassistant/status", b"offline")
    assert not form.heard("other", b"online")


def test_names_that_home_assistant_does_not_admit_stay_apart() -> None:
    names = ["a.b", "a/b", "a-2e-b", "a_b"]
    columns = [Column(Channel(i, name, "", 0, 0, 0, ""), [i]) for i, name in enumerate(names)]
    batch = Telemetry(PARKING, "00000001.2.0", "9c0d11e2", 1, "synced", [10**9], 0, columns)
    config, *found = made("homeassistant").messages([batch])
    components = json.loads(config.payload)["components"]
    assert len(components) == len({each["unique_id"] for each in components.values()}) == 4
    assert [message.topic for message in found] == [
        each["state_topic"] for each in components.values()
    ]


@pytest.mark.parametrize("name", ["senml+cbor", "senml+json", "event+json"])
def test_the_state_of_the_gateway_is_retained(name: str) -> None:
    (message,) = made(name).health({**FIGURES, "load": float("nan")}, NOW_MS)
    assert (message.topic, message.retain) == (f"{TOPIC}/health", True)
    assert message.payload == (
        b'{"time":1790000000.250,"backlog_batches":3,"site":"jingan","autonomy_h":null,"load":null}'
    )


# What holds for any batches: each value goes out once, with its time, in messages of their size.

batches_of = st.lists(telemetry(), min_size=1, max_size=8)


def from_senml(messages: Sequence[Message]) -> Counter[Reading]:
    found: Counter[Reading] = Counter()
    for message in messages:
        record: dict[str, Any]
        node, start = "", Decimal(0)
        for record in fields_of(message):
            if "batch" in record:
                node, start = record["bn"][12:28], Decimal(record["bt"])
            time = start + Decimal(record.get("t", 0))
            found[node, record["n"], time, Decimal(record["v"])] += 1
    return found


def fields_of(message: Message) -> list[dict[str, Any]]:
    if message.content_type.endswith("json"):
        return exact(message.payload)
    labels = {-2: "bn", -3: "bt", 0: "n", 1: "u", 2: "v", 6: "t"}
    pack = cbor2.loads(message.payload)
    return [{labels.get(key, key): value for key, value in entry.items()} for entry in pack]


@pytest.mark.parametrize("name", ["senml+cbor", "senml+json"])
@settings(deadline=None, max_examples=60)
@given(batches=batches_of)
def test_canonical_messages_hold_each_value_once(name: str, batches: list[Telemetry]) -> None:
    assert from_senml(made(name).messages(batches)) == all_of(batches)


@pytest.mark.parametrize("name", ["senml+cbor", "senml+json"])
def test_canonical_messages_keep_to_their_limits(name: str) -> None:
    channel = Channel(0, "level", "m", -3, -3, 0, "")

    def batch(pos: int, count: int) -> Telemetry:
        times = list(range(10**12, 10**12 + count))
        columns = [Column(channel, range(count))]
        return Telemetry(RIVER, f"0000cafe.2.{pos}", "89abcdef", pos, "synced", times, -3, columns)

    long = made(name).messages([batch(pos, 60) for pos in range(100)])
    assert len(long) > 1
    assert all(len(message.payload) <= 48 * 1024 for message in long)
    short = made(name).messages([batch(pos, 1) for pos in range(401)])
    counts = [sum("batch" in record for record in fields_of(message)) for message in short]
    assert counts == [200, 200, 1]
    assert short[-1].topic == f"{TOPIC}/telemetry/{RIVER.hex()}"
    huge = made(name).messages([batch(1, 9), batch(2, 4096), batch(3, 9)])
    assert [len(fields_of(message)) for message in huge] == [9, 4096, 9]


@settings(deadline=None, max_examples=60)
@given(batches=st.lists(telemetry(most_channels=200, most_times=4), min_size=1, max_size=4))
def test_thingsboard_gets_each_value_once_below_its_limit(batches: list[Telemetry]) -> None:
    found: Counter[Reading] = Counter()
    for message in made("thingsboard").messages(batches):
        assert len(message.payload) <= PAYLOAD_BYTES
        if message.topic != "v1/gateway/telemetry":
            continue
        for device, entries in exact(message.payload).items():
            for entry in entries:
                for name, value in entry["values"].items():
                    found[device, name, entry["ts"].scaleb(-3), value] += 1
    assert found == all_of(batches)


@settings(deadline=None, max_examples=60)
@given(batches=st.lists(telemetry(most_channels=200, most_times=4), min_size=1, max_size=4))
def test_iotda_gets_each_value_once_with_its_time(batches: list[Telemetry]) -> None:
    found: Counter[Reading] = Counter()
    for message in made("iotda", device="g").messages(batches):
        assert len(message.payload) <= 64 * 1024
        for device in exact(message.payload)["devices"]:
            for service in device["services"]:
                time = unix_time(service["event_time"])
                for name, value in service["properties"].items():
                    found[device["device_id"], name, time, value] += 1
    assert found == all_of(batches)


@pytest.mark.parametrize(("name", "limit"), [("thingsboard", PAYLOAD_BYTES), ("iotda", 64 * 1024)])
def test_a_large_backlog_is_spread_over_messages_below_the_limit(name: str, limit: int) -> None:
    columns = [
        Column(Channel(i, f"{i}" + "x" * 29, "m", -24, -3, 0, ""), [-i]) for i in range(255)
    ]
    batches = [
        Telemetry(RIVER, f"0000cafe.2.{pos}", "89abcdef", pos, "synced", [10**12], -3, columns)
        for pos in range(16)
    ]
    sent = [message for message in made(name, device="g").messages(batches) if message.payload]
    assert len(sent) > 2
    assert limit // 2 < max(len(message.payload) for message in sent) <= limit
    assert sum(message.payload.count(b"x" * 29) for message in sent) == 255 * 16


def unix_time(text: str) -> Decimal:
    """Read yyyy-MM-dd'T'HH:mm:ss.SSS'Z' without the library that wrote it."""
    year, month, day = int(text[:4]), int(text[5:7]), int(text[8:10])
    # Days from 1970 in the Gregorian calendar, years from March on.
    of_year, years = (month + 9) % 12, year - (month < 3)
    days = years * 365 + years // 4 - years // 100 + years // 400 + (of_year * 306 + 5) // 10 + day
    seconds = (days - 719_469) * 86_400 + int(text[11:13]) * 3600 + int(text[14:16]) * 60
    assert (text[10], text[13], text[16], text[-1], len(text)) == ("T", ":", ":", "Z", 24)
    return Decimal(seconds) + Decimal(text[17:23])


@settings(deadline=None, max_examples=60)
@given(batches=batches_of)
def test_an_event_holds_each_value_once_with_its_time(batches: list[Telemetry]) -> None:
    alarms = [batch for batch in batches if batch.stream == 0]
    sent = made("event+json").messages(batches)
    found: Counter[Reading] = Counter()
    for message, batch in zip(sent, alarms, strict=True):
        event = exact(message.payload)
        assert event["pos"] == batch.pos
        assert event["time"] in {reading["time"] for reading in event["readings"]}
        for reading in event["readings"]:
            found[event["node"], reading["channel"], reading["time"], reading["value"]] += 1
    assert found == all_of(alarms)


@settings(deadline=None, max_examples=60)
@given(batches=batches_of)
def test_home_assistant_is_shown_the_newest_value_of_each_channel(
    batches: list[Telemetry],
) -> None:
    shown = {
        tuple(message.topic.split("/")[-2:]): Decimal(message.payload.decode())
        for message in made("homeassistant").messages(batches)
        if "/state/" in message.topic
    }
    newest: dict[tuple[str, str], tuple[int, set[Decimal]]] = {}
    for node, name, time, value in all_of(batches):
        at = int(time.scaleb(3))
        before, values = newest.get((node, name), (0, set()))
        if at >= before:
            newest[node, name] = at, {value} | (values if at == before else set())
    assert shown.keys() == newest.keys()
    assert all(shown[key] in values for key, (_, values) in newest.items())


def test_the_samples_of_the_golden_files_were_taken_months_before() -> None:
    assert min(river().times) == SAMPLED_MS < NOW_MS - 180 * 86_400_000
