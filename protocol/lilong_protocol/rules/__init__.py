"""What a rule is: it turns the readings of one channel into raised or not, and says why.

Values are the channel's scaled integers, times milliseconds of one clock that never goes back. A
rule has no clock: what happens depends on the readings and their times alone, never on how often
`lapse` is called, but for who learns of it when. Call `lapse` once at the start, and when
`wait_ms` is over; where the one before a reading is of interest, `lapse(at_ms - 1)` settles
what time alone has decided before that reading.

A missing reading (None) is none: silence goes on, nothing else begins or ends. A reading that is
older than the one before is left out.
"""

from lilong_protocol.portable import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Protocol

    class Rule(Protocol):
        """What lilong_protocol.rules.catalogue builds."""

        raised: bool
        since_ms: "int | None"
        """Since when that holds which decided last."""
        decided_ms: "int | None"
        """When it was decided; None: nothing was yet."""
        value: "int | None"
        """The reading that decided, of `value_ms`; None where there never was one."""
        value_ms: "int | None"
        limit: "int | None"
        """Which bound decided: a value, a change (slope) or milliseconds (silence)."""
        reference: "int | None"
        """What `value` was compared with to see a change (slope)."""

        def take(self, value: "int | None", at_ms: int) -> None:
            """Take the reading of this moment, None when it is missing."""

        def lapse(self, at_ms: int) -> None:
            """Let time pass until this moment."""

        def wait_ms(self, at_ms: int) -> "int | None":
            """Return the milliseconds until time alone decides something, None: it never does."""
