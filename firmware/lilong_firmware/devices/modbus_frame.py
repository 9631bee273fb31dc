"""Frames of Modbus RTU, as a master writes and finds them.

MODBUS over Serial Line V1.02, sections 2.5.1 and 6.2.2; MODBUS Application Protocol V1.1b3,
sections 6.1 to 6.4 and 7.
"""

from lilong_firmware.errors import (
    AbsentError,
    DamagedError,
    NonsenseError,
    SensorError,
    WarmingError,
)
from lilong_protocol.portable import const

_REQUEST_BYTES = const(8)
_EXCEPTION = const(0x80)
_HIGHEST_UNIT = const(247)
_HIGHEST_FUNCTION = const(4)
_MOST_DATA = const(250)
_AROUND_DATA = const(5)

# CRC of each nibble, for the polynomial 0xA001: a frame of 255 bytes takes a device 2 ms.
_LOW = (0x0000, 0xCC01, 0xD801, 0x1400, 0xF001, 0x3C00, 0x2800, 0xE401)
_HIGH = (0xA001, 0x6C00, 0x7800, 0xB401, 0x5000, 0x9C01, 0x8801, 0x4400)
_NIBBLES = _LOW + _HIGH


def crc16(data: bytes) -> int:
    """Return the CRC of a frame, sent low byte first."""
    crc = 0xFFFF
    for byte in data:
        crc = (crc >> 4) ^ _NIBBLES[(crc ^ byte) & 15]
        crc = (crc >> 4) ^ _NIBBLES[(crc ^ (byte >> 4)) & 15]
    return crc


def sealed(frame: bytes) -> bytes:
    """Return the frame with its CRC."""
    crc = crc16(frame)
    return frame + bytes((crc & 0xFF, crc >> 8))


def request(unit: int, function: int, first: int, count: int) -> bytes:
    """Return the request that reads `count` bits (functions 1, 2) or registers (3, 4)."""
    fields = (unit, function, first >> 8, first & 0xFF, count >> 8, count & 0xFF)
    return sealed(bytes(fields))


def data_bytes(asked: bytes) -> int:
    """Return how many bytes of data the answer to a request holds."""
    count = asked[4] << 8 | asked[5]
    return (count + 7) // 8 if asked[1] <= 2 else 2 * count


def longest_bytes(asked: bytes) -> int:
    """Return how much may come until the answer is whole: an echo, and the answer."""
    return _REQUEST_BYTES + _AROUND_DATA + data_bytes(asked)


def character_us(baudrate: int) -> int:
    """Return how long a character of 11 bits takes."""
    return 11000000 // baudrate


def silence_ms(baudrate: int) -> int:
    """Return how long to sleep for 3.5 characters, 1.75 ms above 19200 baud (2.5.1.1).

    A sleep may end two milliseconds early: for the tick it began in, and for what a float of
    single precision makes of it.
    """
    silent_us = 7 * character_us(baudrate) // 2 if baudrate <= 19200 else 1750
    return 3 + silent_us // 1000


def surplus(came: bytes, asked: bytes) -> int:
    """Return how many bytes stand before the answer to `asked`: 0, it is whole; -1, wait for more.

    Passed over are the echo of the request, frames of others or of another form, and noise.
    """
    start = came[:_REQUEST_BYTES]
    if start == asked[: len(start)]:
        return _REQUEST_BYTES if len(start) == _REQUEST_BYTES else -1
    size = _frame_bytes(came)
    if size == 0:
        return 1
    if size < 0 or len(came) < size:
        return -1
    if crc16(came[: size - 2]) != came[size - 2] | came[size - 1] << 8:
        return 1
    return 0 if _answers(came, asked) else size


def answered(came: bytes, asked: bytes, name: str) -> bytes:
    """Return the data of an answer that is whole; SensorError for an exception response."""
    if came[1] & _EXCEPTION:
        raise _exception(name, came[2])
    return came[3 : 3 + data_bytes(asked)]


def _frame_bytes(came: bytes) -> int:
    """Return the size of the answer that begins here, 0 for none, -1 where it is not seen yet."""
    if not 1 <= came[0] <= _HIGHEST_UNIT:
        return 0
    if len(came) < 3:
        return -1
    if not 1 <= came[1] & ~_EXCEPTION <= _HIGHEST_FUNCTION:
        return 0
    if came[1] & _EXCEPTION:
        return _AROUND_DATA
    return came[2] + _AROUND_DATA if 1 <= came[2] <= _MOST_DATA else 0


def _answers(came: bytes, asked: bytes) -> bool:
    if came[0] != asked[0]:
        return False
    if came[1] == asked[1]:
        return came[2] == data_bytes(asked)
    return came[1] == asked[1] | _EXCEPTION


def _exception(name: str, code: int) -> SensorError:
    """Return what a unit's refusal means here (V1.1b3, section 7)."""
    for known, kind, problem in (
        (1, NonsenseError, "illegal function"),
        (2, NonsenseError, "illegal data address"),
        (3, NonsenseError, "illegal data value"),
        (4, NonsenseError, "server device failure"),
        (5, WarmingError, "acknowledge"),
        (6, WarmingError, "server device busy"),
        (8, DamagedError, "memory parity error"),
        (10, AbsentError, "gateway path unavailable"),
        (11, AbsentError, "gateway target device failed to respond"),
    ):
        if code == known:
            return kind(name, "exception " + str(code) + ", " + problem)
    return NonsenseError(name, "exception " + str(code))
