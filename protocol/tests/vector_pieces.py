"""Golden values of a BLE link: frames in pieces, and values that were lost, joined or damaged."""

from vector_dice import Dice

RESET = bytes.fromhex("2a00000000000000")


def piece(number, data, first=False, last=False):
    mark = number % 64 + (128 if first else 0) + (64 if last else 0)
    return bytes([mark, len(data)]) + data


def cut(frames, size, number=0):
    """Return the fullest values of at most `size` bytes, the first piece with this number."""
    values = [b""]
    for data in frames:
        rest, first = data, True
        while rest:
            if len(values[-1]) > size - 3:
                values.append(b"")
            most = min(size - len(values[-1]) - 2, 255)
            part, rest = rest[:most], rest[most:]
            values[-1] += piece(number, part, first, not rest)
            number, first = number + 1, False
    return values


def made_pieces(sessions):
    said = [step["frame"] for session in sessions for step in session["steps"]]
    dice = Dice(27)
    lengths = [dice(size) for size in (8, 17, 18, 19, 36, 37, 255, 256, 510, 511, 1024)]
    told = [
        ("an ACK and the answer to TIME", 23, [bytes.fromhex(said[at]) for at in (6, 8)]),
        ("the first word of a visit", 23, [RESET]),
        ("a whole session, if one end said it all", 185, [bytes.fromhex(data) for data in said]),
        ("its first frames", 23, [bytes.fromhex(data) for data in said[:4]]),
        ("two pieces of 255 in a value", 517, [dice(1024)]),
        ("numbers beyond 63", 23, [dice(1024), dice(1024)]),
        ("a rest of three bytes, which holds one", 23, [dice(13), dice(9)]),
        ("a rest of two bytes, which holds none", 23, [dice(16), dice(9)]),
    ]
    told += [(f"{len(one)} bytes", mtu, [one]) for one in lengths for mtu in (23, 247)]
    return {
        "cut": [
            {"name": name, "mtu": mtu, "frames": [one.hex() for one in frames]}
            | {"values": [value.hex() for value in cut(frames, mtu - 3)]}
            for name, mtu, frames in told
        ],
        "read": [
            {"why": why, "values": [value.hex() for value in values]}
            | {"frames": [one.hex() for one in held], "damaged": damaged, "oversized": oversized}
            for why, values, held, damaged, oversized in [*sound(dice), *spoilt(dice)]
        ],
    }


def sound(dice):
    """Yield why, values, frames in them, damaged, oversized: what other ends may send."""
    one, two, long = dice(40), dice(60), dice(1024)
    values = cut([one, two], 20)
    yield "all values joined", [b"".join(values)], [one, two], 0, 0
    yield "two by two", [b"".join(values[at : at + 2]) for at in (0, 2, 4)], [one, two], 0, 0
    yield "pieces shorter than there is room", cut([one], 9), [one], 0, 0
    yield "pieces of one byte", [b"".join(cut([long], 3))], [long], 0, 0
    yield "nothing", [b"", b""], [], 0, 0
    alone = piece(0, one[:7], first=True, last=True)
    yield "seven bytes, which a session drops", [alone], [one[:7]], 0, 0


def spoilt(dice):
    """Yield the same of values that were lost, repeated, damaged or made by a stranger."""
    one, two, three = dice(40), dice(60), dice(9)
    values = cut([one, two, three], 20)
    rest = values[1:]
    yield "the first value lost", rest, [two, three], 1, 0
    yield "the end of a frame and the begin of the next one lost", drop(values, 2), [three], 1, 0
    yield "a value within a frame lost", drop(values, 4), [one, three], 1, 0
    yield "a value twice", [*values[:2], *values[1:]], [two, three], 1, 0
    yield "two values in the wrong order", [values[1], values[0], *values[2:]], [two, three], 3, 0
    yield "a value cut short", [values[0][:-1], *rest], [two, three], 2, 0
    yield "cut short within the head of a piece", [values[0] + b"\x01", *rest], [two, three], 1, 0
    yield "a piece of nothing", [b"\xc0\x00", *cut([two], 20)], [two], 1, 0
    yield "nothing behind a piece of nothing", [b"\xc0\x00" + cut([one], 99)[0]], [], 1, 0
    yield "a piece longer than its value", [b"\xc0\xff" + one], [], 1, 0
    yield "a head of one byte", [b"\xc0", *cut([two], 20)], [two], 1, 0
    yield "the end of what never began", [piece(0, one, last=True)], [], 1, 0
    later = cut([two], 20, 2)
    never = [piece(0, one), piece(1, one), *later]
    yield "the middle of what never began, counted once", never, [two], 1, 0
    begun = [piece(0, one, first=True), *cut([two], 20, 1)]
    yield "a frame that begins within another", begun, [two], 1, 0
    yield "a first number other than 0", cut([one, two], 20, 1), [one, two], 1, 0
    jump = [*cut([one], 20), *cut([two], 20, 9)]
    yield "a number that jumps at a new frame", jump, [one, two], 1, 0
    yield from too_long(dice)


def too_long(dice):
    after = dice(9)
    for size in (1025, 2000):
        data = dice(size)
        yield f"{size} bytes", cut([data, after], 244), [after], 0, 1
    endless = [piece(number, data[:200], first=number == 0) for number in range(9)]
    yield "a frame without an end", endless, [], 0, 1
    yield "a frame after one without an end", [*endless, *cut([after], 20, 9)], [after], 0, 1
    gap = [*endless, *cut([after], 20, 10)]
    yield "a frame after one without an end, and a gap", gap, [after], 1, 1


def drop(values, at):
    return values[:at] + values[at + 1 :]
