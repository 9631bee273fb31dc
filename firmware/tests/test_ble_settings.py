import pytest

from lilong_firmware.settings import Settings

EUI = bytes(8)
CHANNEL = {"number": 0, "name": "level", "privacy": 0}
FLOOD = {"number": 7, "name": "flood", "privacy": 0, "source": "rules.flood"}
RULE = {"name": "flood", "kind": "limit", "channel": "level", "above": 3}


def settings(**more):
    return Settings({"channels": [CHANNEL], "sensor": {"kind": "river"}, **more}, EUI)


def test_a_node_is_on_a_line_unless_it_is_told_otherwise():
    usual = settings()
    assert usual.problem is None
    assert (usual.running.ble, usual.running.advert_ms) == (False, 1000)
    assert not settings(link="serial").running.ble
    assert settings(link="ble").running.ble
    assert settings(link="ble", advert_ms=20).running.advert_ms == 20
    assert settings(link="ble", advert_ms=10_000).unread is None


@pytest.mark.parametrize(
    ("key", "value"),
    [("link", "wifi"), ("link", True), ("link", 1), ("advert_ms", 19), ("advert_ms", 10_001)],
)
def test_a_wrong_value_is_named_and_the_node_talks_over_its_line(key, value):
    read = settings(**{key: value})
    assert str(read.problem).startswith(key + ": must be")
    assert not read.running.ble


@pytest.mark.parametrize("wrong", [{"uart": {"baud": 7}}, {"channels": []}, {"advert_ms": "x"}])
def test_whatever_else_is_wrong_the_node_stays_on_the_air(wrong):
    read = settings(link="ble", **wrong)
    assert read.problem is not None
    assert read.running.ble


def test_the_channels_of_rules_and_outputs_are_known():
    assert settings(link="ble").sampling.states == []
    assert settings(link="ble", channels=[CHANNEL, FLOOD], rules=[RULE]).sampling.states == [7]
