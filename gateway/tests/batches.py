"""Batches for the formats: of two nodes, sampled months before they are sent."""

from hypothesis import strategies as st

from lilong_gateway.senml import Column, Telemetry
from lilong_protocol.descriptor import Channel

RIVER = bytes.fromhex("0a1b2c3d4e5f6071")
PARKING = bytes.fromhex("0a1b2c3d4e5f6072")
TOPIC = "lilong/jingan/gw-7"
SAMPLED_MS = 1_772_600_767_125
"""2026-03-04T05:06:07.125Z."""

LEVEL = Channel(0, "level", "m", -3, -3, 0, "water level")
WARMTH = Channel(2, "t_w", "Cel", -1, -3, 0, "water temperature")
FLOOD = Channel(20, "flood", "", 0, -3, 0, "")
OCCUPIED = Channel(1, "occ", "/", -2, 0, 0, "share of stands in use")


def river(late: bool = False, shift_ms: int = 0, pos: int = 123) -> Telemetry:
    times = [SAMPLED_MS + shift_ms, SAMPLED_MS + shift_ms + 60_000]
    columns = [Column(LEVEL, [1234, -5]), Column(WARMTH, [85, 80])]
    return Telemetry(
        *(RIVER, "3f2a1b9c.2.17", "9c0d11e2", pos, "synced", times, -3, columns),
        late=late,
        channels=(LEVEL, WARMTH, FLOOD),
    )


def parking() -> Telemetry:
    columns = [Column(OCCUPIED, [75])]
    return Telemetry(
        *(PARKING, "00000a01.2.4", "9c0d11e2", 130, "bounded", [1_772_600_770], 0, columns),
        one_in=4,
        late=True,
        channels=(OCCUPIED,),
    )


def alarm(state: int = 1) -> Telemetry:
    columns = [Column(FLOOD, [state])]
    return Telemetry(
        *(RIVER, "3f2a1b9c.0.3", "9c0d11e2", 124, "synced", [SAMPLED_MS], -3, columns), stream=0
    )


def evidence() -> Telemetry:
    columns = [Column(LEVEL, [3001])]
    return Telemetry(
        *(RIVER, "3f2a1b9c.0.4", "9c0d11e2", 125, "synced", [SAMPLED_MS - 500], -3, columns),
        stream=0,
    )


def channels(count: int) -> st.SearchStrategy[list[Channel]]:
    """Channels of one unit of time, with names as long as they may be."""
    return st.builds(
        lambda exponents, time_exponent: [
            Channel(number, f"{number}" + "x" * 29, "m", exponent, time_exponent, 0, "")
            for number, exponent in enumerate(exponents)
        ],
        st.lists(st.integers(-24, 18), min_size=1, max_size=count),
        st.sampled_from([0, -3]),
    )


@st.composite
def telemetry(draw, most_channels: int = 6, most_times: int = 30) -> Telemetry:
    """Any batch that the renderer may give."""
    described = draw(channels(most_channels))
    exponent = described[0].time_exponent
    low, high = (1 << 28) * 10**-exponent, 253_402_300_799 * 10**-exponent
    times = draw(st.lists(st.integers(low, high), min_size=1, max_size=most_times))
    whole = st.integers(-(2**64), 2**64 - 1)
    sizes = {"min_size": len(times), "max_size": len(times)}
    columns = [Column(channel, draw(st.lists(whole, **sizes))) for channel in described]
    eui = draw(st.sampled_from([RIVER, PARKING]))
    stream = draw(st.integers(0, 3))
    seq = draw(st.integers(0, 2**32 - 1))
    name = f"0000cafe.{stream}.{seq}"
    pos = draw(st.integers(1, 2**40))
    return Telemetry(eui, name, "89abcdef", pos, "synced", times, exponent, columns, stream)
