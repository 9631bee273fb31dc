"""The part `sleep` of the settings: how often a node wakes, and when it talks."""

from lilong_protocol.portable import TYPE_CHECKING, const

if TYPE_CHECKING:
    from lilong_firmware.fields import Fields

_DAY_S = const(86400)
_LEVEL = const(0x3FFFFFFF)


class Level:
    """A channel that must not be below or above these values, in its own scale."""

    def __init__(self, fields: "Fields") -> None:
        self.channel = fields.number("channel", 0, 255)
        self.below = fields.number("below", -_LEVEL, _LEVEL, -_LEVEL)
        self.above = fields.number("above", -_LEVEL, _LEVEL, _LEVEL)

    def crossed(self, channel: int, value: int) -> bool:
        """Whether this value is one to tell at once."""
        return channel == self.channel and not self.below <= value <= self.above


class SleepSettings:
    """A node that has these sleeps; every key has a default."""

    def __init__(self, fields: "Fields") -> None:
        self.every_ms = 1000 * fields.number("every_s", 1, _DAY_S, 60)
        """Between two rounds of readings."""
        self.send_every_ms = 1000 * fields.number("send_every_s", 1, _DAY_S, 3600)
        self.send_rounds = fields.number("send_rounds", 0, 2000, 0)
        """After so many rounds it talks before that is due; 0 for no such number."""
        self.awake_ms = 1000 * fields.number("awake_s", 1, 600, 20)
        """The longest that it talks, unless a gateway asks for something."""
        self.linger_ms = 1000 * fields.number("linger_s", 0, 60, 1)
        """How long a gateway has for its requests when everything is delivered."""
        self.retry_ms = 1000 * fields.number("retry_s", 1, _DAY_S, 300)
        """After the first failure to deliver; twice as long after each further one."""
        levels = fields.list("watch") if fields.has("watch") else []
        self.levels = [
            Level(fields.child(level, fields.name("watch[" + str(index) + "]")))
            for index, level in enumerate(levels)
        ]

    def urgent(self, readings: "list[tuple[int, int]]") -> bool:
        """Whether one of these is to be told at once."""
        return any(level.crossed(*reading) for level in self.levels for reading in readings)

    def again_ms(self, failures: int) -> int:
        """Return after how long to talk again; `failures` in a row went before."""
        if failures == 0:
            return self.send_every_ms
        return min(self.send_every_ms, self.retry_ms << min(failures - 1, 16))
