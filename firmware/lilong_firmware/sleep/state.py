"""What a node knows over its sleep."""

import struct

from lilong_protocol.portable import const

KNOWN = 1
"""Flag: the time is known."""
RATED = 2
"""Flag: the rate of the clock that runs in sleep has been measured."""
ALARMED = 4
"""Flag: the latest round was one to tell at once."""
QUIET = 8
"""Flag: the sensors stay off until the next whole start."""

_LAYOUT = "<BBBBIIIqqqqqqqqqqIIIiIIIHH"
_NAMES = (
    "flags strikes failures channels boot_id source first "
    "uptime_ms rtc_ms due_ms send_ms health_ms round_ms "
    "offset_ms first_offset_ms anchor_offset_ms told_ms "
    "error_ms slept_ms asked_ms rate_ppm spread_ppm failed period_ms rounds full_at"
)
_COUNTED = ("error_ms", "slept_ms", "asked_ms", "failed", "first")
_MOST = const(0xFFFFFFFF)
_UNRATED_PPM = const(200000)

STATE_BYTES = struct.calcsize(_LAYOUT)


class State:
    """Times are uptimes in ms; an offset is the time of 2000 at uptime 0.

    `log` holds the rounds (see rounds) that are not in the journal yet, in periods of
    `period_ms`. Readings are numbered since `source` was drawn; `first` is the first of the log.
    """

    flags = 0
    strikes = 0
    """Wakes in a row that failed in an unexpected way."""
    failures = 0
    """Attempts in a row to deliver that failed."""
    channels = 0
    """Of the round with the most of them."""
    failed = 0
    """Rounds that gave nothing or found no room."""
    uptime_ms = 0
    """When the sleep began."""
    rtc_ms = 0
    """The same by the clock that runs in sleep."""
    asked_ms = 0
    """How long the sleep is to be by that clock."""
    due_ms = 0
    """When the next round is due."""
    send_ms = 0
    """When the whole node is to start."""
    health_ms = 0
    """When the node tells of itself again."""
    offset_ms = 0
    error_ms = 0
    """By how much the time may be wrong."""
    first_offset_ms = 0
    """What this boot told first."""
    anchor_offset_ms = 0
    """What it was when `slept_ms` began to count."""
    slept_ms = 0
    rate_ppm = 0
    """By how much the clock that runs in sleep is slow."""
    spread_ppm: int = _UNRATED_PPM
    """By how much that may be wrong."""
    told_ms = 0
    """The latest time of 2000 that a round went to the journal with."""
    first = 0
    rounds = 0
    full_at = 0
    """Where in the log the latest full round begins."""
    round_ms = 0
    """When the latest round was taken, 0 for none."""
    log = b""

    def __init__(self, boot_id: int, source: int, period_ms: int) -> None:
        self.boot_id = boot_id
        self.source = source
        self.period_ms = period_ms

    def clear(self, first: int) -> None:
        """Forget the log: the next reading is number `first`."""
        self.first = first
        self.rounds = self.full_at = self.round_ms = 0
        self.log = b""

    def has(self, flag: int) -> bool:
        """Whether a flag is set."""
        return self.flags & flag != 0

    def mark(self, flag: int, on: bool) -> None:  # noqa: FBT001 - the flag's value
        """Set or clear a flag."""
        self.flags = self.flags | flag if on else self.flags & ~flag

    def pack(self) -> bytes:
        """Return STATE_BYTES bytes: all but the log."""
        for name in _COUNTED:
            setattr(self, name, min(getattr(self, name), _MOST))
        return struct.pack(_LAYOUT, *[getattr(self, name) for name in _NAMES.split()])


def unpack_state(packed: bytes, log: bytes) -> State:
    """Return what was packed, with its log."""
    state = State(0, 0, 0)
    for name, value in zip(_NAMES.split(), struct.unpack(_LAYOUT, packed)):
        setattr(state, name, value)
    state.log = log
    return state
