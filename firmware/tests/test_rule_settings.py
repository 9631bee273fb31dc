import copy

import pytest

from lilong_firmware.errors import SettingsError
from lilong_firmware.fields import Fields
from lilong_firmware.rule_settings import RuleSettings
from lilong_firmware.settings import Sampling

FLOOD = {
    "name": "flood",
    "kind": "limit",
    "channel": "level",
    "above": 3000,
    "clear_below": 2800,
    "outputs": ["siren"],
}
QUIET = {"name": "quiet", "kind": "silence", "channel": "level", "for_ms": 5000}
SIREN = {"pin": 25, "longest_s": 300, "allow": ["flood"]}


def channel(number, name, source=""):
    return {"number": number, "name": name, "privacy": 0, "interval_ms": 1000, "source": source}


GOOD = {
    "sensor": {"kind": "river"},
    "channels": [
        channel(0, "level"),
        channel(1, "flood", "rules.flood"),
        channel(2, "quiet", "rules.quiet"),
        channel(3, "siren", "outputs.siren"),
    ],
    "rules": [FLOOD, QUIET],
    "outputs": {"siren": SIREN},
}


def without(table, *keys):
    return {key: value for key, value in table.items() if key not in keys}


def parse(document):
    fields = Fields(document)
    return RuleSettings(fields, Sampling(fields).channels)


def changed(path, value):
    """Return the good settings with one thing changed."""
    document = copy.deepcopy(GOOD)
    place = document
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return document


def test_rules_and_outputs_are_taken_as_they_are():
    fields = Fields(GOOD)
    found = RuleSettings(fields, Sampling(fields).channels)
    flood, quiet = found.rules
    assert (flood.name, flood.channel, flood.outputs, flood.state.number) == (
        *("flood", 0),
        ["siren"],
        1,
    )
    assert (quiet.outputs, quiet.state.number) == ([], 2)
    (siren,) = found.outputs
    assert (siren.pin, siren.on, siren.longest_ms, siren.allow) == (25, 1, 300_000, ["flood"])
    assert [state.number for state in found.states] == [1, 2, 3]
    assert fields.unread() is None


def test_rules_need_no_outputs_and_outputs_no_rules_that_use_them():
    document = without(changed(["rules", 0], without(FLOOD, "outputs")), "outputs")
    document["channels"] = GOOD["channels"][:3]
    assert parse(document).outputs == []


@pytest.mark.parametrize(
    ("path", "value", "key", "says"),
    [
        (["rules"], [FLOOD] * 17, "rules", "16"),
        (["rules"], {}, "rules", "list"),
        (["rules", 0], 7, "rules[0]", "object"),
        (["rules", 0, "name"], "a.b", "rules[0].name", "dots"),
        (["rules", 0, "name"], None, "rules[0].name", "missing"),
        (["rules", 1, "name"], "flood", "rules[0].name", "two rules"),
        (["rules", 1, "name"], "still", "rules[1]", "rules.still"),
        (["rules", 0, "kind"], "limits", "rules[0]", "kind: 'limits' is not one of"),
        (["rules", 0, "above"], "3 m", "rules[0]", "above: must be a whole number"),
        (["rules", 0, "clear_below"], 3001, "rules[0]", "clear_below: must be at most 3000"),
        (["rules", 0, "abvoe"], 1, "rules[0]", "abvoe: means nothing"),
        (["rules", 0, "channel"], "levle", "rules[0].channel", "'levle'"),
        (["rules", 0, "channel"], "quiet", "rules[0].channel", "no channel that is measured"),
        (["rules", 0, "fresh_ms"], 999, "rules[0].fresh_ms", "interval_ms, 1000"),
        (["rules", 1, "for_ms"], 1000, "rules[1].for_ms", "more than the channel's interval_ms"),
        (["rules", 0, "outputs"], ["horn"], "rules[0].outputs", "'horn' is not in outputs"),
        (["rules", 0, "outputs"], [3], "rules[0].outputs", "names"),
        (
            ["rules", 1, "outputs"],
            ["siren"],
            "rules[1].outputs",
            "add quiet to outputs.siren.allow",
        ),
        (["outputs", "siren", "allow"], ["quiet"], "rules[0].outputs", "siren does not allow it"),
        (["outputs", "siren", "allow"], ["flood", "flod"], "outputs.siren.allow", "'flod'"),
        (["outputs", "siren", "allow"], [], "outputs.siren.allow", "list"),
        (["outputs", "siren", "allow"], None, "outputs.siren.allow", "missing"),
        (["outputs", "siren", "longest_s"], None, "outputs.siren.longest_s", "missing"),
        (["outputs", "siren", "longest_s"], 86401, "outputs.siren.longest_s", "0..86400"),
        (["outputs", "siren", "pin"], None, "outputs.siren.pin", "missing"),
        (["outputs", "siren", "on"], 2, "outputs.siren.on", "0..1"),
        (["outputs", "horn"], SIREN, "outputs.horn", "add it|outputs.horn"),
        (["outputs"], {str(n): SIREN for n in range(9)}, "outputs", "8"),
        (["channels", 1], channel(1, "flood"), "rules[0]", "rules.flood"),
        (["channels", 3], channel(3, "siren"), "outputs.siren", "outputs.siren"),
        (["channels", 2], channel(2, "q", "rules.flood"), "rules[0]", "more than one"),
        (["channels", 3, "exponent"], -3, "outputs.siren", "exponent 0"),
    ],
)
def test_a_wrong_setting_is_named_in_one_line_that_says_what_to_do(path, value, key, says):
    with pytest.raises(SettingsError) as caught:
        parse(changed(path, value))
    assert caught.value.key == key
    assert any(words in str(caught.value) for words in says.split("|")), caught.value
    assert "\n" not in str(caught.value)


def test_a_window_without_two_readings_in_it_is_refused():
    rule = {"name": "flood", "kind": "slope", "channel": "level", "rise": 5, "within_ms": 999}
    with pytest.raises(SettingsError, match=r"rules\[0\]\.within_ms: must be at least"):
        parse(changed(["rules", 0], rule))


def test_two_outputs_do_not_share_a_pin():
    document = changed(["outputs", "lamp"], SIREN)
    document["channels"].append(channel(4, "lamp", "outputs.lamp"))
    with pytest.raises(SettingsError, match=r"outputs\.lamp\.pin: is the pin of two outputs"):
        parse(document)


def test_a_channel_of_a_rule_that_does_not_exist_is_refused():
    document = copy.deepcopy(GOOD)
    document["channels"].append(channel(4, "fire", "rules.fire"))
    with pytest.raises(SettingsError, match=r"channels: nothing is behind the source rules\.fire"):
        parse(document)
