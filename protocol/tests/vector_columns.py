"""Golden R1 columns: every header, every width of escape, the ends of int64, and damaged ones."""

from vector_dice import Dice

from lilong_protocol import columns


def bits_of(symbols, k):
    """Return the code of each (symbol, width) as text of 0 and 1; width None: no escape."""
    text = ""
    for symbol, width in symbols:
        if width is None:
            low = format(symbol & (1 << k) - 1, f"0{k}b") if k else ""
            text += "1" * (symbol >> k) + "0" + low
        else:
            text += "1" * 12 + format(width - 1, "05b") + format(symbol, f"0{width}b")
    return text


def packed(header, base, symbols=()):
    """Return a column, whatever an encoder of sense would have chosen."""
    out = bytearray([header])
    rest = base << 1 if base >= 0 else ~(base << 1)
    while rest > 0x7F:
        out.append(rest & 0x7F | 0x80)
        rest >>= 7
    out.append(rest)
    text = bits_of(symbols, header & 15)
    text += "0" * (-len(text) % 8)
    return bytes(out) + bytes(int(text[at : at + 8], 2) for at in range(0, len(text), 8))


def column_with(order, k):
    """Return values whose best code has this order and this k."""
    for seed in range(1, 5000):
        dice = Dice(seed * 64 + k)
        values = [dice.roll(2 << k) - (1 << k) for _ in range(24)]
        if order:
            values = [sum(values[:end]) for end in range(1, 25)]
        data = columns.encode_column(values)
        if data[0] == order << 7 | k:
            return values
    raise SystemExit(f"no column of order {order} and k {k}")


def chosen_columns():
    yield "one value", [5]
    yield "two values", [7, 8]
    for order in (0, 1):
        for k in range(15):
            yield f"order {order}, k {k}", column_with(order, k)
    for width in range(5, 33):
        wide = (1 << width - 1) - 1
        yield f"an escape of {width} bits", [0] * 8 + [wide] + [wide] * 8
        yield f"a negative escape of {width} bits", [0] * 8 + [-wide - 1] * 8
    dice = Dice(1)
    yield "1024 equal values", [-40] * 1024
    yield "1024 values of noise", [dice.roll(400) for _ in range(1024)]
    yield "1024 values of a slope downwards", [-3 * row for row in range(1024)]
    for base in (-(1 << 63), (1 << 63) - 1, 0, -1, 63, 64, -64, -65):
        yield f"a constant {base}", [base] * 3
    yield "from the least int64 upwards", [-(1 << 63) + row * row for row in range(8)]
    yield "sums above int64", [(1 << 63) - 1, (1 << 63) + 5, (1 << 63) + 17, (1 << 63) + 30]


def accepted_columns():
    for width in range(1, 33):
        top = (1 << width) - 1
        yield f"an escape of {width} bits, full", packed(0x00, 0, [(top, width)]), 1
        yield f"an escape of {width} bits, empty", packed(0x80, 9, [(0, width)]), 2
    yield "k 15", packed(0x8F, 0, [(5, None), (11 << 15 | 3, None)]), 3
    yield "the longest code without an escape", packed(0x00, 0, [(11, None)]), 1
    yield "a constant of order 0", packed(0x40, -9), 4
    yield "a constant with a k", packed(0xCF, 3), 2
    yield "one value of order 1 without bits", packed(0x80, 77), 1
    yield "a base longer than needed", b"\xc0\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00", 2


def refused_columns():
    yield "no bytes", b"", 2
    yield "a header alone", b"\xc0", 2
    yield "no value", b"\xc0\x00", 0
    yield "1025 values", b"\xc0\x00", 1025
    yield "reserved bit 5", b"\xe0\x00", 2
    yield "reserved bit 4", b"\xd0\x00", 2
    yield "a base that does not end", b"\xc0\x80", 2
    yield "a base of 65 bits", b"\xc0" + b"\xff" * 9 + b"\x03", 2
    yield "a base of eleven bytes", b"\xc0" + b"\x80" * 10 + b"\x00", 2
    yield "bits after a constant", b"\xc0\x00\x00", 2
    yield "no bits where some belong", b"\x80\x00", 2
    yield "a byte of padding too many", packed(0x80, 0, [(1, None)]) + b"\0", 2
    yield "a padding of ones", b"\x80\x00\xbf", 2
    yield "bits that end inside a code", b"\x80\x00\xff", 2
    yield "an escape without its bits", b"\x80\x00\xff\xff\x80", 2
    yield "one residual too few", packed(0x82, 0, [(1, None), (2, None)]), 9
    yield "one residual too many", packed(0x87, 0, [(1, None), (2, None), (3, None)]), 3


def made_columns():
    encoded = []
    for why, values in chosen_columns():
        data = columns.encode_column(values)
        encoded.append({"why": why, "values": values, "hex": data.hex()})
    accepted = []
    for why, data, count in accepted_columns():
        values = columns.decode_column(data, count)
        accepted.append({"why": why, "values": values, "hex": data.hex()})
    refused = [
        {"why": why, "count": count, "hex": data.hex()} for why, data, count in refused_columns()
    ]
    return {"encoded": encoded, "accepted": accepted, "refused": refused}
