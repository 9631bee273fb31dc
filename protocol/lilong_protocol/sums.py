"""Running sums, as quickly as the interpreter has them."""

from lilong_protocol.portable import ROOMY, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

if ROOMY:
    from lilong_protocol.sums_itertools import running_sums
else:

    def running_sums(base: int, steps: "Iterable[int]") -> "list[int]":
        """Return `base`, and what it becomes with each step."""
        sums = [base]
        for step in steps:
            base += step
            sums.append(base)
        return sums


__all__ = ("running_sums",)
