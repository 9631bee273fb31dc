"""`rules` and `outputs` of settings.json, checked; loaded only where there are some."""

from lilong_firmware.errors import SettingsError
from lilong_protocol.errors import RangeError
from lilong_protocol.portable import TYPE_CHECKING, const
from lilong_protocol.rules.catalogue import build_rule

if TYPE_CHECKING:
    from typing import Any

    from lilong_firmware.fields import Fields
    from lilong_firmware.settings import ChannelSetting

RULES = "rules"
OUTPUTS = "outputs"

_MOST_RULES = const(16)
_MOST_OUTPUTS = const(8)
_NAME_LIMIT = const(32)
_DAY_S = const(86400)
_OWN = ("name", "kind", "channel", "outputs")
"""Keys of a rule that are not parameters of its kind."""


class OutputSetting:
    """A pin that rules may switch: `on` is its level then, `allow` who may do it."""

    def __init__(self, name: str, fields: "Fields", table: "_Table") -> None:
        self.name = name
        self.key = fields.name()
        self.pin = fields.number("pin", 0, 99)
        self.on = fields.number("on", 0, 1, 1)
        self.longest_ms = 1000 * fields.number("longest_s", 0, _DAY_S)
        """It goes off after so long whatever its rules say; 0: it does not."""
        self.allow = [_text(entry, fields.name("allow")) for entry in fields.list("allow")]
        self.state = table.state(OUTPUTS + "." + name, self.key)


class RuleSetting:
    """A rule that has seen nothing yet, the channel that it watches, and what it switches."""

    def __init__(self, fields: "Fields", values: "dict[str, Any]", table: "_Table") -> None:
        self.key = fields.name()
        self.name = fields.text("name", _NAME_LIMIT)
        if not self.name or "." in self.name:
            raise SettingsError(fields.name("name"), "must be a text without dots")
        self.kind = fields.text("kind", _NAME_LIMIT)
        channel = table.measured(fields.text("channel", _NAME_LIMIT), fields.name("channel"))
        self.channel = channel.number
        self.outputs: list[str] = []
        if fields.has("outputs"):
            key = fields.name("outputs")
            self.outputs = [_text(entry, key) for entry in fields.list("outputs")]
        self.state = table.state(RULES + "." + self.name, self.key)
        parameters = {key: values[key] for key in values if key not in _OWN and fields.has(key)}
        try:
            self.rule = build_rule(self.kind, parameters)
        except RangeError as error:
            raise SettingsError(self.key, str(error))
        _check_rhythm(self.kind, parameters, channel.interval_ms, fields)


class RuleSettings:
    """All of them; SettingsError unless they fit together and each has a channel for its state."""

    def __init__(self, fields: "Fields", channels: "list[ChannelSetting]") -> None:
        table = _Table(channels)
        entries = fields.list(RULES) if fields.has(RULES) else []
        named = fields.object(OUTPUTS).named()
        if len(entries) > _MOST_RULES:
            raise SettingsError(RULES, "must be 16 at most")
        if len(named) > _MOST_OUTPUTS:
            raise SettingsError(OUTPUTS, "must be 8 at most")
        self.outputs = [OutputSetting(name, output, table) for name, output in named]
        self.rules: list[RuleSetting] = []
        for index, entry in enumerate(entries):
            child = fields.child(entry, RULES + "[" + str(index) + "]")
            self.rules.append(RuleSetting(child, entry, table))
        self._check_names()
        for rule in self.rules:
            self._check_outputs(rule)
        table.check()

    @property
    def states(self) -> "list[ChannelSetting]":
        """The channels of what rules and outputs are in."""
        return [rule.state for rule in self.rules] + [output.state for output in self.outputs]

    def _check_names(self) -> None:
        names = [rule.name for rule in self.rules]
        for rule in self.rules:
            if names.count(rule.name) > 1:
                raise SettingsError(rule.key + ".name", repr(rule.name) + " is two rules' name")
        pins = [output.pin for output in self.outputs]
        for output in self.outputs:
            if pins.count(output.pin) > 1:
                raise SettingsError(output.key + ".pin", "is the pin of two outputs")
            for name in output.allow:
                if name not in names:
                    raise SettingsError(output.key + ".allow", repr(name) + " is no rule")

    def _check_outputs(self, rule: RuleSetting) -> None:
        allowed = {output.name: rule.name in output.allow for output in self.outputs}
        for name in rule.outputs:
            if name not in allowed:
                problem = repr(name) + " is not in outputs; add it with its pin"
                raise SettingsError(rule.key + ".outputs", problem)
            if not allowed[name]:
                problem = name + " does not allow it; add " + rule.name + " to " + OUTPUTS + "."
                raise SettingsError(rule.key + ".outputs", problem + name + ".allow")


class _Table:
    """The channel table, by what feeds each channel."""

    def __init__(self, channels: "list[ChannelSetting]") -> None:
        self._channels = channels
        self._used: list[str] = []

    def measured(self, name: str, key: str) -> "ChannelSetting":
        """Return the channel of that name; SettingsError when nothing measures it."""
        for channel in self._channels:
            if channel.described.name == name and not _is_inner(channel):
                return channel
        raise SettingsError(key, repr(name) + " is the name of no channel that is measured")

    def state(self, source: str, key: str) -> "ChannelSetting":
        """Return the channel that tells a state; SettingsError when there is none."""
        self._used.append(source)
        found = [channel for channel in self._channels if channel.source == source]
        if len(found) != 1:
            words = "no channel has the source " if not found else "more than one has the source "
            raise SettingsError(key, words + source + "; give it to one of channels")
        if found[0].exponent != 0:
            raise SettingsError(key, "the channel of its state must have the exponent 0")
        return found[0]

    def check(self) -> None:
        """SettingsError for a channel whose rule or output does not exist."""
        for channel in self._channels:
            if _is_inner(channel) and channel.source not in self._used:
                raise SettingsError("channels", "nothing is behind the source " + channel.source)


def _is_inner(channel: "ChannelSetting") -> bool:
    return channel.source.partition(".")[0] in {RULES, OUTPUTS}


def _text(entry: "Any", key: str) -> str:
    if not isinstance(entry, str):
        raise SettingsError(key, "must hold names, not " + repr(entry))
    return entry


def _check_rhythm(
    kind: str, parameters: "dict[str, Any]", interval_ms: int, fields: "Fields"
) -> None:
    """Refuse what readings at this interval can never decide, or always would."""
    words = " the channel's interval_ms, " + str(interval_ms)
    if kind == "silence" and parameters["for_ms"] <= interval_ms:
        raise SettingsError(fields.name("for_ms"), "must be more than" + words)
    for key in ("within_ms", "fresh_ms"):
        if parameters.get(key, interval_ms) < interval_ms:
            raise SettingsError(fields.name(key), "must be at least" + words)
