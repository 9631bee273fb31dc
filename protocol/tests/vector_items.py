"""Golden items at the limits of their fields: counts, channels, times and values."""

from lilong_protocol import blocks

START_MS = 848620800000


def block_bytes(case):
    """Return what our encoder makes of a case."""
    held = [(channel, values) for channel, values in case["columns"]]
    channel, values = held[0]
    if case["kind"] == "single":
        return blocks.encode_single(channel, case["times"][0], values[0], case["boot"])
    if case["kind"] == "series":
        return blocks.encode_series(channel, case["times"], values, case["boot"])
    return blocks.encode_table(case["times"], held, case["boot"])


def chosen_items():
    """Yield why, kind, boot id, times and columns."""
    last = (1 << 64) - 1
    regular = [START_MS + 1000 * row for row in range(1024)]
    yield "the first moment and the least channel", "single", None, [0], [[0, [0]]]
    yield "the last moment and the greatest channel", "single", None, [last], [[255, [last]]]
    yield "the least value", "single", None, [START_MS], [[0, [-1 - last]]]
    yield "boot and uptime greatest", "single", (1 << 32) - 1, [last], [[0, [1]]]
    yield "boot and uptime least", "single", 0, [0], [[0, [1]]]
    yield "two readings", "series", None, [5, 6], [[7, [1, 2]]]
    yield "two readings at one time", "series", None, [5, 5], [[7, [1, 2]]]
    yield "the longest step", "series", None, [0, last], [[7, [1, 2]]]
    yield "the longest step back", "series", None, [last, 0], [[7, [1, 2]]]
    yield "1024 equal readings", "series", None, regular, [[0, [-5] * 1024]]
    yield "1024 rows of 4 channels", "table", None, regular, [[at, [at] * 1024] for at in range(4)]
    yield "64 channels", "table", 9, [1, 2], [[at, [at, at]] for at in range(64)]
    yield "steps in units of 10", "series", None, [0, 10, 30, 70, 50], [[1, [1, 1, 2, 1, 1]]]
    yield "steps backwards", "series", None, [90, 80, 71, 50], [[1, [9, 8, 7, 6]]]
    yield (
        "plain values",
        "table",
        None,
        [0, 1, 2],
        [[1, [0, 1 << 40, 0]], [2, [last, 0, -1 - last]]],
    )


def made_items():
    encoded = []
    for why, kind, boot, times, columns in chosen_items():
        case = {"why": why, "kind": kind, "boot": boot, "times": times, "columns": columns}
        encoded.append(case | {"hex": block_bytes(case).hex()})
    return {"encoded": encoded}
