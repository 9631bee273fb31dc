"""Decimal text to scaled integers, exactly: no float is involved."""

from lilong_firmware.errors import RowError
from lilong_protocol.portable import const

_TEXT_LIMIT = const(64)
_EXPONENT_LIMIT = const(64)
LOWEST = -(1 << 64)
HIGHEST = (1 << 64) - 1


def parse_scaled(text: str, exponent: int) -> int:
    """Return the integer v with v * 10**exponent equal to `text`.

    Digits finer than the exponent are rounded half to even. RowError when the text is no
    decimal number or v leaves -2**64..2**64-1.
    """
    negative, digits, scale = _split(text)
    magnitude = scaled(digits, scale, exponent)
    value = -magnitude if negative else magnitude
    if not LOWEST <= value <= HIGHEST:
        raise RowError("value", text + " does not fit 65 bits at exponent " + str(exponent))
    return value


def scaled(magnitude: int, scale: int, exponent: int) -> int:
    """Return magnitude * 10**scale in units of 10**exponent, rounded half to even."""
    shift = scale - exponent
    if shift >= 0:
        return int(magnitude * 10**shift)
    divisor = 10**-shift
    quotient = magnitude // divisor
    twice = 2 * (magnitude - quotient * divisor)
    if twice > divisor or (twice == divisor and quotient & 1):
        quotient += 1
    return int(quotient)


def _split(text: str) -> "tuple[bool, int, int]":
    """Return (negative, digits as an integer, power of ten of the last digit)."""
    if len(text) > _TEXT_LIMIT:
        raise RowError("value", "longer than 64 characters")
    negative = text.startswith("-")
    mantissa = text[1:] if negative or text.startswith("+") else text
    mantissa, power = _split_power(mantissa.lower())
    whole, _, fraction = mantissa.partition(".")
    digits = whole + fraction
    if not digits.isdigit():
        raise RowError("value", repr(text) + " is no decimal number")
    return negative, int(digits), power - len(fraction)


def _split_power(mantissa: str) -> "tuple[str, int]":
    """Split 1.5e-7 into 1.5 and -7."""
    mantissa, mark, power = mantissa.partition("e")
    if not mark:
        return mantissa, 0
    digits = power[1:] if power[:1] in ("+", "-") else power
    if not digits.isdigit() or int(digits) > _EXPONENT_LIMIT:
        raise RowError("value", repr(power) + " is no usable power of ten")
    return mantissa, -int(digits) if power.startswith("-") else int(digits)
