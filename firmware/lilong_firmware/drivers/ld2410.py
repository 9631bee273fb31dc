"""Hi-Link LD2410, LD2410B, LD2410C: presence of people by 24 GHz radar, also of those at rest.

Datasheet: Hi-Link HLK-LD2410C Serial Communication Protocol V1.07, 5 August 2024
Wiring: VCC 5 V (200 mA), GND; UART_Tx to rx and UART_Rx to tx of the bus (3.3 V levels)
Options:
    moving_gate: farthest gate (of 0.75 m) in which motion counts; as it is set when left out
    stationary_gate: farthest gate in which somebody at rest counts
    no_one_s: seconds for which presence is kept up after nobody was detected any more
    moving_sensitivity: nine thresholds of energy 0..100, gate 0 (the nearest) first; 100 is blind
    stationary_sensitivity: seven thresholds of energy 0..100, gates 2 to 8; 0 and 1 are fixed
Limits: 0..6 m, +-60 degrees; ten frames a second, without a check sum; sees through thin walls and
    sees curtains and fans move; the settings stay in the radar when it is switched off
Power: 79000 uA always
"""

import asyncio
import struct

from lilong_firmware.devices.quantity import Quantity
from lilong_firmware.errors import (
    AbsentError,
    DamagedError,
    NonsenseError,
    SettingsError,
    WarmingError,
)
from lilong_protocol.portable import TYPE_CHECKING, const

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from lilong_firmware.devices.line import Line
    from lilong_firmware.fields import Fields

_NAME = "ld2410"
_REPORT = b"\xf4\xf3\xf2\xf1"
_REPORT_END = b"\xf8\xf7\xf6\xf5"
_REPLY = b"\xfd\xfc\xfb\xfa"
_REPLY_END = b"\x04\x03\x02\x01"
_HEAD = const(6)
_END = const(4)
_MOST_DATA = const(64)

_ENABLE = const(0xFF)
_FINISH = const(0xFE)
_READ = const(0x61)
_SET_GATES = const(0x60)
_SET_SENSITIVITY = const(0x64)
_PARAMETERS = const(24)
_GATES = const(9)
_FIRST_SETTABLE = const(2)

_MOVING = const(1)
_STATIONARY = const(2)
_BOTH = const(3)
_HIGHEST_STATE = const(6)

_POLL_MS = const(20)
_WATCH_MS = const(50)
_FRESH_MS = const(1000)
_REPLY_MS = const(300)
_ATTEMPTS = const(2)


class Ld2410:
    """Reads reports, those of engineering mode too; settings are written where they differ."""

    BUS = "uart"
    UART = {"baudrate": 256000}
    GIVES = (
        Quantity("presence", "", 0, 0, 1),
        Quantity("moving_distance", "m", -2, 0, 1000),
        Quantity("moving_energy", "/", -2, 0, 100),
        Quantity("stationary_distance", "m", -2, 0, 1000),
        Quantity("stationary_energy", "/", -2, 0, 100),
        Quantity("detection_distance", "m", -2, 0, 1000),
    )

    def __init__(self, bus: "Line", options: "Fields") -> None:
        self._bus = bus
        self._wanted = _Wanted(options)
        self._set = self._wanted.nothing
        self._frames = _Frames()
        self._report = b""
        self._reply = b""
        self._age_ms = 0
        self._watching = False

    async def watch(self, changed: "Callable[[], None]") -> None:
        """Read all that comes, for ever; tell when presence is another than before."""
        before = -1
        self._watching = True
        try:
            while True:
                self._take()
                self._age_ms += _WATCH_MS
                if self._age_ms > _FRESH_MS:
                    self._report = b""
                if self._report and _presence(self._report) not in {before, -1}:
                    before = _presence(self._report)
                    changed()
                await asyncio.sleep(_WATCH_MS / 1000)
        finally:
            self._watching = False

    async def measure(self) -> "list[int | None]":
        """Give the newest report; it is awaited for a second."""
        if not self._watching:
            # What waits there may be old: nobody has read it since.
            self._bus.discard()
            self._report = b""
        try:
            if not self._set:
                await self._configure()
                self._set = True
            report = await self._newest()
        except AbsentError:
            # Another one may be there the next time.
            self._set = self._wanted.nothing
            raise
        if report[2] > _BOTH:
            raise WarmingError(_NAME, "measures the noise of the room")
        return _values(report)

    def _take(self) -> None:
        for frame in self._frames.take(self._bus.read()):
            if frame[0] != _REPORT[0]:
                self._reply = frame[1:]
            elif _is_report(frame[1:]):
                self._report = frame[1:]
                self._age_ms = 0

    async def _newest(self) -> bytes:
        self._frames.noise = 0
        for _ in range(_FRESH_MS // _POLL_MS):
            self._take()
            if self._report:
                return self._report
            await asyncio.sleep(_POLL_MS / 1000)
        if self._frames.noise:
            raise DamagedError(_NAME, "no whole report in what comes; is its baud rate 256000?")
        raise AbsentError(_NAME, "no report for a second")

    async def _configure(self) -> None:
        """Write what differs from the options (section 2.4.1); reports pause meanwhile."""
        await self._command(_ENABLE, b"\x01\x00")
        try:
            found = await self._command(_READ, b"")
            for word, value in self._wanted.commands(found):
                await self._command(word, value)
        finally:
            await self._command(_FINISH, b"")

    async def _command(self, word: int, value: bytes) -> bytes:
        """Return what stands behind the status of the reply; a lost one is asked for again."""
        data = bytes((word, 0)) + value
        frame = _REPLY + struct.pack("<H", len(data)) + data + _REPLY_END
        for _ in range(_ATTEMPTS):
            self._reply = b""
            await self._bus.write(frame)
            for _ in range(_REPLY_MS // _POLL_MS):
                self._take()
                if len(self._reply) >= 4 and self._reply[:2] == bytes((word, 1)):
                    if self._reply[2:4] != b"\x00\x00":
                        raise NonsenseError(_NAME, "refuses the command " + hex(word))
                    return self._reply[4:]
                await asyncio.sleep(_POLL_MS / 1000)
        raise AbsentError(_NAME, "does not reply to the command " + hex(word))


class _Wanted:
    """What the options ask for; -1 or an empty list is whatever the radar has."""

    def __init__(self, options: "Fields") -> None:
        self._gates = [
            options.number("moving_gate", 2, 8) if options.has("moving_gate") else -1,
            options.number("stationary_gate", 2, 8) if options.has("stationary_gate") else -1,
            options.number("no_one_s", 0, 65535) if options.has("no_one_s") else -1,
        ]
        self._moving, self._stationary = [], []
        if options.has("moving_sensitivity"):
            given = options.list("moving_sensitivity")
            self._moving = _thresholds(options, "moving_sensitivity", given, _GATES)
        if options.has("stationary_sensitivity"):
            given = options.list("stationary_sensitivity")
            count = _GATES - _FIRST_SETTABLE
            self._stationary = _thresholds(options, "stationary_sensitivity", given, count)
        self.nothing = max(self._gates) < 0 and not self._moving and not self._stationary

    def commands(self, found: bytes) -> "list[tuple[int, bytes]]":
        """Return what must be sent to a radar with the parameters `found` (section 2.2.4)."""
        if len(found) < _PARAMETERS or found[0] != 0xAA or found[1] != _GATES - 1:
            raise DamagedError(_NAME, "its parameters have an unknown form")
        commands = []
        gates = [found[2], found[3], found[22] | found[23] << 8]
        wanted = [new if new >= 0 else old for new, old in zip(self._gates, gates)]
        if wanted != gates:
            commands.append((_SET_GATES, _words(wanted)))
        had = found[4:22]
        moving = self._moving or list(had[:_GATES])
        stationary = list(had[_GATES:])
        if self._stationary:
            stationary[_FIRST_SETTABLE:] = self._stationary
        for gate in range(_GATES):
            if moving[gate] != had[gate] or stationary[gate] != had[_GATES + gate]:
                values = [gate, moving[gate], stationary[gate]]
                commands.append((_SET_SENSITIVITY, _words(values)))
        return commands


class _Frames:
    """Finds frames in what comes: head, length, data, end. `noise` counts what is in none."""

    def __init__(self) -> None:
        self._came = b""
        self.noise = 0

    def take(self, data: bytes) -> "list[bytes]":
        """Return the data of the frames that are whole, each after the first byte of its head."""
        came = self._came + data
        found, at = [], 0
        while True:
            begin = _next_head(came, at)
            self.noise += begin - at
            at = begin
            if len(came) - at < _HEAD:
                break
            size = came[at + 4] | came[at + 5] << 8
            end = at + _HEAD + size
            if size <= _MOST_DATA and len(came) < end + _END:
                break
            whole = came[end : end + _END] == (_REPORT_END if came[at] == 0xF4 else _REPLY_END)
            if size <= _MOST_DATA and whole:
                found.append(came[at : at + 1] + came[at + _HEAD : end])
                at = end + _END
            else:
                self.noise += 1
                at += 1
        self._came = came[at:]
        return found


def _next_head(came: bytes, at: int) -> int:
    """Return where the next frame may begin: at a head, or at the last three bytes."""
    begins = [begin for begin in (came.find(_REPORT, at), came.find(_REPLY, at)) if begin >= 0]
    return min(begins) if begins else max(at, len(came) - 3)


def _is_report(data: bytes) -> bool:
    """Whether this is the inside of a report (section 2.3)."""
    return (
        len(data) >= 13
        and data[0] in {1, 2}
        and data[1] == 0xAA
        and data[2] <= _HIGHEST_STATE
        and data[-2:] == b"\x55\x00"
    )


def _presence(report: bytes) -> int:
    """Return 0 or 1, -1 while the radar does not tell."""
    return -1 if report[2] > _BOTH else int(report[2] > 0)


def _values(report: bytes) -> "list[int | None]":
    state, moving_cm, moving, stationary_cm, stationary, detection_cm = struct.unpack(
        "<BHBHBH", report[2:11]
    )
    moves, rests = state & _MOVING, state & _STATIONARY
    return [
        int(state > 0),
        moving_cm if moves else None,
        moving if moves else None,
        stationary_cm if rests else None,
        stationary if rests else None,
        detection_cm if state else None,
    ]


def _thresholds(options: "Fields", key: str, given: "list[Any]", count: int) -> "list[int]":
    for value in given:
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 100:
            raise SettingsError(options.name(key), "must hold whole numbers 0..100")
    if len(given) != count:
        raise SettingsError(options.name(key), "must hold " + str(count) + " numbers")
    return given


def _words(values: "list[int]") -> bytes:
    """Return parameter words 0, 1, 2 with their values (sections 2.2.3 and 2.2.7)."""
    return struct.pack("<HIHIHI", 0, values[0], 1, values[1], 2, values[2])
