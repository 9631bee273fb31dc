"""A contact, button or detector that is closed or open."""

from lilong_protocol.portable import TYPE_CHECKING
from lilong_protocol.rules.hold import BEYOND, CLEAR, Hold

if TYPE_CHECKING:
    from lilong_protocol.rules.parameters import Parameters


class Contact(Hold):
    """Beyond while the contact is in `state`; any value but 0 is 1."""

    def __init__(self, parameters: "Parameters") -> None:
        super().__init__(
            parameters.time_ms("for_ms"),
            parameters.time_ms("clear_for_ms"),
            parameters.span_ms("fresh_ms"),
        )
        self._state = parameters.number("state", 0, 1)

    def judge(self, value: int, _at_ms: int) -> int:
        """Return BEYOND or CLEAR."""
        return BEYOND if (value != 0) == (self._state == 1) else CLEAR

    def bound(self, _value: int) -> int:
        """Return the state."""
        return self._state
