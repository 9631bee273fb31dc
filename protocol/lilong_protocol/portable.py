"""What the two interpreters spell differently; the only place that asks which one runs."""

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import TypeVar

    _Literal = TypeVar("_Literal")

    def const(value: _Literal) -> _Literal:
        """Return `value`; MicroPython's compiler folds it instead."""

    ROOMY = True

else:
    ROOMY = False
    try:
        from micropython import const
    except ImportError:
        ROOMY = True

        def const(value: int) -> int:
            """Return `value`."""
            return value
