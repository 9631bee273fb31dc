"""A value that is too high or too low."""

from lilong_protocol.errors import RangeError
from lilong_protocol.portable import TYPE_CHECKING
from lilong_protocol.rules.hold import BETWEEN, BEYOND, CLEAR, Hold

if TYPE_CHECKING:
    from lilong_protocol.rules.parameters import Parameters


class Limit(Hold):
    """Beyond from `above` on upwards and from `below` on downwards, the bounds included.

    Clear when under `clear_below` and over `clear_above`, the bounds left out; without them under
    `above` and over `below`. From one side straight to the other is beyond all the time.
    """

    def __init__(self, parameters: "Parameters") -> None:
        super().__init__(
            parameters.time_ms("for_ms"),
            parameters.time_ms("clear_for_ms"),
            parameters.span_ms("fresh_ms"),
        )
        self._above = parameters.value("above")
        self._below = parameters.value("below")
        self._clear_below = parameters.value("clear_below")
        self._clear_above = parameters.value("clear_above")
        self._high = False
        """Whether the rule was last raised at its upper bound."""
        self._check()

    def judge(self, value: int, _at_ms: int) -> int:
        """Return BEYOND, BETWEEN or CLEAR."""
        verdict = CLEAR
        if self._above is not None and self._clear_below is not None:
            if value >= self._above:
                return BEYOND
            if value >= self._clear_below:
                verdict = BETWEEN
        if self._below is not None and self._clear_above is not None:
            if value <= self._below:
                return BEYOND
            if value <= self._clear_above:
                verdict = BETWEEN
        return verdict

    def bound(self, value: int) -> int:
        """Return the limit that raised, or that of clearing on the same side."""
        if self.raised:
            self._high = self._above is not None and value >= self._above
        high = self._above if self.raised else self._clear_below
        low = self._below if self.raised else self._clear_above
        found = high if self._high else low
        return 0 if found is None else found

    def _check(self) -> None:
        """Fill in the bounds of clearing; RangeError unless all of them fit together."""
        above, below = self._above, self._below
        if above is None and below is None:
            raise RangeError("above: is missing; give above, below or both")
        if above is not None and below is not None and below >= above:
            raise RangeError("below: must be less than above, " + str(above))
        if self._clear_below is None:
            self._clear_below = above
        elif above is None or self._clear_below > above:
            raise RangeError("clear_below: " + _no_bound("above", "at most", above))
        if self._clear_above is None:
            self._clear_above = below
        elif below is None or self._clear_above < below:
            raise RangeError("clear_above: " + _no_bound("below", "at least", below))
        low, high = self._clear_above, self._clear_below
        if low is not None and high is not None and low + 1 >= high:
            raise RangeError("clear_above: must be less than clear_below by 2, or nothing clears")


def _no_bound(other: str, words: str, bound: "int | None") -> str:
    if bound is None:
        return "needs " + other + " beside it"
    return "must be " + words + " " + str(bound) + ", which is " + other
