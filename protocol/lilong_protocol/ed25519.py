"""Verifies Ed25519 signatures (RFC 8032 section 5.1), in Python on every interpreter.

A point of the curve is held as four integers modulo p: (e, f, g, h) stands for x = e/g, y = h/f.
They are what the formulas of section 5.1.4 arrive at before their last four products, so a
doubling that no addition follows saves one of the four. Nothing here is secret, so nothing takes
constant time.
"""

from lilong_protocol.errors import AuthenticationError
from lilong_protocol.portable import TYPE_CHECKING, const
from lilong_protocol.sha512 import Sha512

if TYPE_CHECKING:
    from collections.abc import Callable

    _Point = tuple[int, int, int, int]
    _Step = Callable[[], object]

KEY_BYTES = 32
SIGNATURE_BYTES = 64

_BITS = const(254)
_BLOCK_BYTES = const(128)
_STEP_BITS = const(16)

_P = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFED
_ORDER = 0x1000000000000000000000000000000014DEF9DEA2F79CD65812631A5CF5D3ED
_D = 0x52036CEE2B6FFE738CC740797779E89800700A4D4141D8AB75EB4DCA135978A3
_ROOT_OF_MINUS_ONE = 0x2B8324804FC1DF0B2B4D00993DFBD7A72F431806AD2FE478C4EE1B274A0EA0B0
_BASE_X = 0x216936D3CD6E53FEC0A4E231FDD6DC5C692CC7609525A7B2C9562D608F25D51A
_BASE_Y = 0x6666666666666666666666666666666666666666666666666666666666666658


def verify(
    public_key: bytes, signature: bytes, message: bytes, step: "_Step | None" = None
) -> None:
    """Return if the key's owner signed the message; else raise AuthenticationError.

    A device may work on this for a second and longer. `step` is called at every 128 bytes of the
    message and 17 times more, and may feed a watchdog; what it raises ends the work.
    """
    if len(public_key) != KEY_BYTES:
        raise AuthenticationError("an Ed25519 public key has 32 bytes")
    if len(signature) != SIGNATURE_BYTES:
        raise AuthenticationError("an Ed25519 signature has 64 bytes")
    commitment = signature[:KEY_BYTES]
    scalar = int.from_bytes(signature[KEY_BYTES:], "little")
    if scalar >= _ORDER:
        # S and S + L would both verify, and one signature would have several forms.
        raise AuthenticationError("S of the signature is not below the order of the group")
    x, y = _key_point(public_key)
    challenge = _challenge(commitment + public_key, message, step)
    # Bytes are compared, not points, so an R that is not canonical never passes.
    if _encoded(_combined(scalar, challenge, _P - x, y, step)) != commitment:
        raise AuthenticationError("the signature does not match")


def _key_point(public_key: bytes) -> "tuple[int, int]":
    """Return x and y of a public key of which only its owner can sign."""
    x, y = _decoded(public_key)
    # The multiples of a point of order 1, 2, 4 or 8 are so few that anybody can sign under it.
    # A key of 32 zeros, which storage that was never written may hold, is such a point.
    if _doubled(_doubled((x, 1, 1, y)))[0] == 0:
        raise AuthenticationError("the public key is a point of small order")
    return x, y


def _decoded(encoding: bytes) -> "tuple[int, int]":
    """Return x and y (section 5.1.3), or raise AuthenticationError."""
    y = int.from_bytes(encoding, "little")
    sign = y >> 255
    y -= sign << 255
    if y >= _P:
        raise AuthenticationError("the public key is not in canonical form")
    u = (y * y - 1) % _P
    v = (_D * y * y + 1) % _P
    v3 = v * v * v % _P
    x = u * v3 * pow(u * v3 * v3 * v % _P, (_P - 5) // 8, _P) % _P
    if (v * x * x - u) % _P:
        x = x * _ROOT_OF_MINUS_ONE % _P
    if (v * x * x - u) % _P:
        raise AuthenticationError("the public key is not a point of the curve")
    if x == 0 and sign:
        raise AuthenticationError("the public key is not in canonical form")
    return (x if x & 1 == sign else _P - x), y


def _encoded(point: "_Point") -> bytes:
    """Return the 32 bytes of a point (section 5.1.2)."""
    e, f, g, h = point
    inverse = pow(f * g % _P, _P - 2, _P)
    x = e * f * inverse % _P
    y = g * h * inverse % _P
    return (y | (x & 1) << 255).to_bytes(KEY_BYTES, "little")


def _challenge(head: bytes, message: bytes, step: "_Step | None") -> int:
    """Return k (section 5.1.7, step 2)."""
    digest = Sha512()
    digest.update(head)
    view = memoryview(message)
    for start in range(0, len(message), _BLOCK_BYTES):
        if step:
            step()
        digest.update(view[start : start + _BLOCK_BYTES])
    if step:
        step()
    return int.from_bytes(digest.digest(), "little") % _ORDER


def _combined(scalar: int, factor: int, x: int, y: int, step: "_Step | None") -> "_Point":
    """Return scalar times the base point plus factor times (x, y), by Straus's method."""
    terms = (
        (_digits(scalar), _multiples(_BASE_X, _BASE_Y)),
        (_digits(factor), _multiples(x, y)),
    )
    total = (0, 1, 1, 1)
    for place in range(_BITS - 1, -1, -1):
        total = _doubled(total)
        for digits, multiples in terms:
            if digits[place]:
                total = _added(total, multiples[digits[place] >> 1])
        if step and place % _STEP_BITS == 0:
            step()
    return total


def _digits(scalar: int) -> bytearray:
    """Return the width-4 non-adjacent form of a number below 2**253.

    Each binary place has 0, or 8 plus an odd digit from -7 to 7.
    """
    octets = scalar.to_bytes(33, "little")
    digits = bytearray(_BITS)
    carry = 0
    place = 0
    while place < _BITS:
        at = place >> 3
        window = ((octets[at] | octets[at + 1] << 8) >> (place & 7) & 15) + carry
        if window & 1:
            digits[place] = window ^ 8
            carry = window >> 3
            place += 4
        else:
            place += 1
    return digits


def _multiples(x: int, y: int) -> "list[_Point]":
    """Return -7, -5, -3, -1, 1, 3, 5 and 7 times a point, each as an addend."""
    point = (x, 1, 1, y)
    twice = _addend(_doubled(point))
    positive = [_addend(point)]
    for _ in range(3):
        point = _added(point, twice)
        positive.append(_addend(point))
    negative = [(plus, minus, zz, -dt) for minus, plus, zz, dt in positive]
    return negative[::-1] + positive


def _addend(point: "_Point") -> "_Point":
    """Return Y - X, Y + X, 2 Z and 2 d T: what an addition needs of its second point."""
    e, f, g, h = point
    x = e * f % _P
    y = g * h % _P
    return y - x, y + x, 2 * f * g % _P, 2 * _D * e * h % _P


def _added(point: "_Point", addend: "_Point") -> "_Point":
    """Return the sum (section 5.1.4)."""
    e, f, g, h = point
    minus, plus, zz, dt = addend
    x = e * f % _P
    y = g * h % _P
    a = (y - x) * minus % _P
    b = (y + x) * plus % _P
    c = e * h % _P * dt % _P
    d = f * g % _P * zz % _P
    return b - a, d - c, d + c, b + a


def _doubled(point: "_Point") -> "_Point":
    """Return twice the point (section 5.1.4, with E, which is -2 X Y, and G negated)."""
    e, f, g, h = point
    x = e * f % _P
    y = g * h % _P
    z = f * g % _P
    a = x * x % _P
    b = y * y % _P
    return 2 * x * y % _P, (2 * z * z + a - b) % _P, b - a, b + a
