"""The channels of scenario 0 in words, and the descriptor of a node; needed at its start only.

scenarios/health.json holds the same table for those who read data; a test compares the two.
"""

from lilong_firmware.health import (
    BOOT,
    CHIP_TEMPERATURE,
    CLOCK_ERROR,
    CRASH,
    DAMAGED,
    DRIFT,
    DROPPED,
    FAULTS,
    FILL,
    HEAP_LOW,
    LARGEST_BLOCK,
    REPEATED,
    RESET_CAUSE,
    ROUND_TRIP,
    SECONDS,
    SUPPLY,
    UPTIME,
)
from lilong_protocol.descriptor import Channel, encode_descriptor
from lilong_protocol.errors import RangeError
from lilong_protocol.portable import TYPE_CHECKING

if TYPE_CHECKING:
    from lilong_firmware.board import Board
    from lilong_firmware.settings import Sampling

# number, name, unit, exponent, privacy class, words; the most important ones first. P1: with the
# node on the mains of a dwelling these show when somebody switches off, or is at home.
_CHANNELS = (
    (UPTIME, "uptime", "s", 0, 1, ""),
    (RESET_CAUSE, "reset_cause", "", 0, 1, ""),
    (BOOT, "boot", "count", 0, 1, ""),
    (CRASH, "crash", "", 0, 0, "code of last crash"),
    (CLOCK_ERROR, "clock_err", "s", -3, 0, ""),
    (DRIFT, "drift", "/", -9, 0, ""),
    (HEAP_LOW, "heap_low", "B", 0, 0, "least free"),
    (FILL, "fill", "/", -3, 1, "journal"),
    (DROPPED, "dropped", "count", 0, 0, "batches"),
    (FAULTS, "faults", "count", 0, 0, "readings lost"),
    (DAMAGED, "damaged", "count", 0, 0, "frames"),
    (REPEATED, "repeated", "count", 0, 0, "batches"),
    (ROUND_TRIP, "rtt", "s", -3, 0, ""),
    (SUPPLY, "supply", "V", -3, 1, ""),
    (CHIP_TEMPERATURE, "chip_temp", "Cel", 0, 0, ""),
    (LARGEST_BLOCK, "block", "B", 0, 0, "largest free"),
)


def health_channels(absent: "tuple[int, ...]" = ()) -> "list[Channel]":
    """Return the channels but for those that the board has not."""
    channels = []
    for number, name, unit, exponent, privacy, words in _CHANNELS:
        if number not in absent:
            channels.append(Channel(number, name, unit, exponent, SECONDS, privacy, words))
    return channels


def describe_node(
    sampling: "Sampling | None", health: "list[Channel]"
) -> "tuple[bytes, list[int]]":
    """Return the descriptor of what is measured and of as much health as has room beside it.

    Also the numbers of those health channels. One whose name is taken is left out.
    """
    version = 0 if sampling is None else sampling.version
    channels = [] if sampling is None else [setting.described for setting in sampling.channels]
    names = {channel.name for channel in channels}
    health = [channel for channel in health if channel.name not in names]
    while True:
        try:
            descriptor = encode_descriptor(version, channels + health)
        except RangeError:
            health.pop()
            continue
        return descriptor, [channel.number for channel in health]


def absent_channels(board: "Board") -> "tuple[int, ...]":
    """Return the numbers of the channels that this board cannot fill."""
    absent = []
    if board.supply_mv() is None:
        absent.append(SUPPLY)
    if board.chip_celsius() is None:
        absent.append(CHIP_TEMPERATURE)
    if board.largest_block() is None:
        absent.append(LARGEST_BLOCK)
    return tuple(absent)
