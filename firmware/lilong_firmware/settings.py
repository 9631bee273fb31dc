"""settings.json of the state folder, read and checked."""

import json
from binascii import unhexlify

from lilong_firmware.configuration import FILE_LIMIT
from lilong_firmware.errors import SettingsError
from lilong_firmware.fields import Fields
from lilong_firmware.files import read_file
from lilong_firmware.probation import Patience
from lilong_protocol.descriptor import Channel, encode_descriptor
from lilong_protocol.errors import RangeError
from lilong_protocol.portable import TYPE_CHECKING, const

if TYPE_CHECKING:
    from typing import Any

    from lilong_firmware.devices.setup import Setup
    from lilong_firmware.rule_settings import RuleSettings
    from lilong_firmware.sleep.settings import SleepSettings

HIGHEST_CHANNEL = 199
"""Those above are the node's own, see lilong_firmware.health."""

DEVICES = "devices"
"""The kind of sensor that stands for all real ones."""

_EUI_BYTES = const(8)
_DAY_MS = const(86400000)
_HIGHEST_SPEED = const(1e6)
_QUOTE = const(0x22)
_BACKSLASH = const(0x5C)
# Longer than the longest thing that cannot be interrupted: a signature checked, a block erased.
_SHORTEST_WATCHDOG_MS = const(5000)
# Free on every ESP32; those that MicroPython gives UART 1 carry the flash of a plain one.
_TX_PIN = const(5)
_RX_PIN = const(4)
_LINKS = ("serial", "ble")
_INNER = ("rules", "outputs")
"""Sources that are no devices."""


class ChannelSetting:
    """A channel as the descriptor tells it, and how often it is read.

    `source` names what feeds it, where that is not the one sensor: a quantity of a device.
    """

    def __init__(self, fields: Fields, report_ms: int, setup: "Setup | None" = None) -> None:
        self.number = fields.number("number", 0, HIGHEST_CHANNEL)
        self.source = fields.text("source", 66, "")
        given = None if setup is None else setup.quantity(self.source)
        exponent, unit = (0, "") if given is None else (given.exponent, given.unit)
        self.exponent = fields.number("exponent", -24, 18, exponent)
        self.time_exponent = fields.number("time_exponent", -3, 0, -3)
        self.interval_ms = fields.number("interval_ms", 10, _DAY_MS, report_ms)
        self.described = Channel(
            self.number,
            fields.text("name", 32),
            fields.text("unit", 32, unit),
            self.exponent,
            self.time_exponent,
            fields.number("privacy", 0, 3),
            fields.text("quantity", 64, ""),
        )
        if given is not None and self.described.unit != unit:
            problem = "must be " + repr(unit) + ", as " + self.source + " is; or leave it out"
            raise SettingsError(fields.name("unit"), problem)
        inner = self.source.partition(".")[0] in _INNER
        if given is None and not inner and (setup is not None or self.source):
            problem = "names no quantity of a device, no rule and no output"
            raise SettingsError(fields.name("source"), problem)


class ReplaySetting:
    """Which columns of which recording are played, and how fast."""

    def __init__(self, fields: Fields, channels: "list[ChannelSetting]") -> None:
        self.file = fields.text("file", 200)
        self.time_column = fields.number("time_column", 0, 255, 0)
        self.value_columns = [_column(fields, column) for column in fields.list("value_columns")]
        # Rounded: what a float makes of 0.001 or 1.001 may be a little less.
        self.speed_permille = max(
            1, round(fields.real("speed", 0.001, _HIGHEST_SPEED, 1.0) * 1000)
        )
        self.exit_at_end = fields.flag("exit_at_end")
        if len(self.value_columns) != len(channels):
            raise SettingsError(fields.name("value_columns"), "must name one column a channel")
        if len({channel.time_exponent for channel in channels}) != 1:
            raise SettingsError("channels", "those of a replay need one time_exponent")


class SensorSetting:
    """Which sensor is read: its kind, and what that kind needs."""

    def __init__(self, fields: Fields, channels: "list[ChannelSetting]") -> None:
        self.kind = fields.text("kind", 32)
        self.speed = fields.real("speed", 0.001, _HIGHEST_SPEED, 1.0)
        self.start_hour = fields.real("start_hour", 0.0, 24.0, 8.0)
        self.replay: ReplaySetting | None = None
        if self.kind == "replay":
            self.replay = ReplaySetting(fields, channels)


class Sampling:
    """What is measured and how it is batched: the part of the settings that may be unusable."""

    def __init__(self, fields: Fields) -> None:
        report_ms = fields.number("report_ms", 10, _DAY_MS, 60000)
        self.batch_readings = fields.number("batch_readings", 1, 1024, 60)
        self.batch_ms = fields.number("batch_ms", 10, _DAY_MS, 60000)
        self.seed = fields.number("seed", 0, (1 << 32) - 1, 1)
        self.version = fields.number("descriptor_version", 0, (1 << 31) - 1, 1)
        self.setup = _read_setup(fields)
        self.channels = []
        for index, channel in enumerate(fields.list("channels")):
            path = "channels[" + str(index) + "]"
            child = fields.child(channel, path)
            self.channels.append(ChannelSetting(child, report_ms, self.setup))
        _check_descriptor(self.version, self.channels)
        self.measured = [c for c in self.channels if c.source.partition(".")[0] not in _INNER]
        """Those that readings come from; the others tell of rules and outputs."""
        self.states = [c.number for c in self.channels if c not in self.measured]
        self.rules = _read_rules(fields, self.channels, len(self.measured))
        if self.setup is not None:
            self.setup.check([channel.source for channel in self.channels])
        self.sensor = SensorSetting(fields.object("sensor"), self.measured)


class Running:
    """What the node needs in order to talk and to keep batches; every key has a default.

    A pin of -1 is the one that MicroPython gives to the UART.
    """

    def __init__(self, fields: Fields) -> None:
        self.journal_bytes = fields.number("journal_bytes", 16384, 1 << 24, 131072)
        self.watchdog_ms = fields.number("watchdog_ms", _SHORTEST_WATCHDOG_MS, 600000, 30000)
        self.health_ms = fields.number("health_ms", 0, _DAY_MS, 300000)
        supply = fields.object("supply")
        self.supply_pin = supply.number("pin", -1, 99, -1)
        self.supply_permille = supply.number("permille", 1000, 100000, 1000)
        self.trace = fields.text("trace", 200, "")
        self.stop_file = fields.text("stop_file", 200, "stop")
        self.version = fields.number("version", 0, (1 << 31) - 1, 0)
        """Of the configuration, as whoever wrote it counts."""
        self.patience = _patience(fields.object("patience"))
        self.ble = fields.choice("link", _LINKS, _LINKS[0]) > 0
        self.advert_ms = fields.number("advert_ms", 20, 10000, 1000)
        uart = fields.object("uart")
        self.uart = uart.number("id", 0, 9, 1)
        self.baud = uart.number("baud", 1200, 5000000, 115200)
        self.tx_pin = uart.number("tx", -1, 99, _TX_PIN)
        self.rx_pin = uart.number("rx", -1, 99, _RX_PIN)


class Settings:
    """Everything that a person or a tool has set.

    An unusable file never keeps the node from talking: `problem` then says what is wrong,
    `sampling` is None or `running` holds the defaults, and the identity is the board's.
    """

    def __init__(self, document: "Any", board_eui: bytes) -> None:
        self.problem: SettingsError | None = None
        self.eui = board_eui
        self.sampling: Sampling | None = None
        self.unread: str | None = None
        """A key that means nothing here; a file written by hand may have some."""
        self.usual = Running(Fields({}))
        """The defaults, for what only the chip can refuse."""
        self.running = self.usual
        self.sleep: SleepSettings | None = None
        """None for a node that never sleeps."""
        try:
            fields = Fields(document)
            if fields.has("eui"):
                self.eui = _eui(fields)
            # Whatever else is wrong, the node stays on its link.
            self.usual.ble = fields.choice("link", _LINKS, _LINKS[0]) > 0
            self.running = Running(fields)
            self.sampling = Sampling(fields)
            self.sleep = _read_sleep(fields, self.sampling)
            self.unread = fields.unread()
        except SettingsError as problem:
            self.problem = problem


def _read_setup(fields: Fields) -> "Setup | None":
    """Return buses and devices, None where the sensor is another one."""
    if fields.object("sensor").text("kind", 32, "") != DEVICES:
        return None
    from lilong_firmware.devices.setup import Setup  # noqa: PLC0415 - its code is needed here alone

    return Setup(fields, fields.object("uart").number("id", 0, 9, 1))


def _read_rules(
    fields: Fields, channels: "list[ChannelSetting]", measured: int
) -> "RuleSettings | None":
    """Return rules and outputs, None where there are none."""
    if not (fields.has("rules") or fields.has("outputs") or measured < len(channels)):
        return None
    from lilong_firmware.rule_settings import RuleSettings  # noqa: PLC0415 - as above

    return RuleSettings(fields, channels)


def _read_sleep(fields: Fields, sampling: Sampling) -> "SleepSettings | None":
    if not fields.has("sleep"):
        return None
    if sampling.rules is not None:
        raise SettingsError("sleep", "rules and outputs need a node that stays awake")
    from lilong_firmware.sleep.settings import SleepSettings  # noqa: PLC0415 - needed here alone

    return SleepSettings(fields.object("sleep"))


def read_settings(path: str, board_eui: bytes) -> Settings:
    """Read settings.json; it is never refused, see Settings."""
    data = read_file(path, FILE_LIMIT)
    if data is None:
        return _without(board_eui, "cannot be read; write the file")
    try:
        text = data.decode()
        # MicroPython takes what a cut-off file still holds for the whole.
        document = json.loads(text) if _is_whole(data) else None
    except (ValueError, RuntimeError):
        document = None
    if document is None:
        return _without(board_eui, "is not JSON; write it again")
    return Settings(document, board_eui)


def _is_whole(data: bytes) -> bool:
    """Whether every bracket outside of strings is closed."""
    depth = 0
    quoted = escaped = False
    for octet in data:
        if quoted:
            quoted = escaped or octet != _QUOTE
            escaped = octet == _BACKSLASH and not escaped
        elif octet == _QUOTE:
            quoted = True
        elif octet in b"{[":
            depth += 1
        elif octet in b"}]":
            depth -= 1
    return depth == 0 and not quoted


def _without(board_eui: bytes, problem: str) -> Settings:
    settings = Settings({}, board_eui)
    settings.problem = SettingsError("settings.json", problem)
    return settings


def _eui(fields: Fields) -> bytes:
    try:
        eui = unhexlify(fields.text("eui", 2 * _EUI_BYTES))
    except ValueError:
        eui = b""
    if len(eui) != _EUI_BYTES:
        raise SettingsError("eui", "must be 16 hexadecimal digits")
    return eui


def _patience(fields: Fields) -> Patience:
    return Patience(
        1000 * fields.number("good_s", 1, 3600, 60),
        1000 * fields.number("trial_s", 1, 86400, 600),
        1000 * fields.number("configuration_s", 1, 86400, 600),
        1000 * fields.number("recovery_s", 1, 86400, 1800),
    )


def _column(fields: Fields, column: "Any") -> int:
    if isinstance(column, bool) or not isinstance(column, int) or not 0 <= column <= 255:
        raise SettingsError(fields.name("value_columns"), "must hold column numbers from 0")
    return column


def _check_descriptor(version: int, channels: "list[ChannelSetting]") -> None:
    try:
        encode_descriptor(version, [channel.described for channel in channels])
    except RangeError as error:
        raise SettingsError("channels", str(error))
