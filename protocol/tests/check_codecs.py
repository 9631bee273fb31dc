"""Golden data, third-party vectors and round trips of the codecs, on whichever Python runs it.

usage: check_codecs.py BLOCKS_JSON [FOLDER_OF_THIRD_PARTY_VECTORS]
"""

import binascii
import hashlib
import json
import sys

from lilong_protocol import blocks, cbor, cobs, columns, descriptor, serial
from lilong_protocol.errors import DecodeError


def octets(text):
    return binascii.unhexlify(text)


def load(path):
    with open(path) as source:
        return json.load(source)


def check(condition, text):
    if not condition:
        raise SystemExit("failed: " + text)


def refuses(decode, data):
    try:
        decode(data)
    except DecodeError:
        return True
    return False


class Dice:
    """A linear congruential generator: the same numbers on every interpreter."""

    def __init__(self, seed):
        self.state = seed

    def roll(self, sides):
        self.state = (self.state * 1103515245 + 12345) & 0x7FFFFFFF
        return (self.state >> 8) % sides

    def octets(self, size):
        return bytes([self.roll(256) for _ in range(size)])


def encoded(case):
    columns_ = [(channel, values) for channel, values in case["columns"]]
    channel, values = columns_[0]
    if case["kind"] == "single":
        return blocks.encode_single(channel, case["times"][0], values[0], case["boot"])
    if case["kind"] == "series":
        return blocks.encode_series(channel, case["times"], values, case["boot"])
    return blocks.encode_table(case["times"], columns_, case["boot"])


def same_block(case):
    block = blocks.decode_block(octets(case["hex"]))
    held = [[channel, values] for channel, values in block.columns]
    return (block.boot, block.times, held) == (case["boot"], case["times"], case["columns"])


def check_columns(cases):
    for case in cases:
        data = columns.encode_column(case["values"])
        if case["hex"] is None:
            check(data is None, "a column that R1 cannot hold")
            continue
        check(data == octets(case["hex"]), "encode column " + case["hex"])
        check(columns.decode_column(data, len(case["values"])) == case["values"], "decode column")


def check_blocks(golden):
    for case in golden["blocks"]:
        check(encoded(case) == octets(case["hex"]), "encode block " + case["hex"])
        check(same_block(case), "decode block " + case["hex"])
    for case in golden["accepted"]:
        check(same_block(case), "decode block " + case["hex"])
    for case in golden["refused"]:
        check(refuses(blocks.decode_block, octets(case["hex"])), case["why"])


def check_descriptors(cases):
    for case in cases:
        channels = [descriptor.Channel(*row) for row in case["channels"]]
        data = octets(case["hex"])
        check(descriptor.encode_descriptor(case["version"], channels) == data, "descriptor")
        check(descriptor.decode_descriptor(data) == (case["version"], channels), "descriptor")


def in_subset(case):
    if "decoded" not in case:
        return False
    kinds = [case["decoded"]]
    while kinds:
        item = kinds.pop()
        if isinstance(item, (dict, float)):
            return False
        if isinstance(item, list):
            kinds.extend(item)
        elif isinstance(item, int) and not -(1 << 64) <= item < 1 << 64:
            return False
    return case["roundtrip"]


def check_rfc8949(folder):
    accepted = refused = 0
    for case in load(folder + "/rfc8949_appendix_a.json"):
        data = octets(case["hex"])
        if in_subset(case):
            accepted += 1
            check(cbor.decode(data) == case["decoded"], "decode " + case["hex"])
            check(cbor.encode(case["decoded"]) == data, "encode " + case["hex"])
        elif not case.get("diagnostic", "").startswith("h'"):
            refused += 1
            check(refuses(cbor.decode, data), "refuse " + case["hex"])
    print("rfc8949", accepted, refused)


def check_cobs(folder):
    vectors = load(folder + "/cobs.json")
    for case in vectors["valid"]:
        check(cobs.encode(octets(case["plain"])) == octets(case["encoded"]), "cobs encode")
        check(cobs.decode(octets(case["encoded"])) == octets(case["plain"]), "cobs decode")
    for data in vectors["decode_errors"]:
        check(refuses(cobs.decode, octets(data)), "cobs refuse " + data)
    print("cobs", len(vectors["valid"]), len(vectors["decode_errors"]))


def random_block(dice):
    count = 2 + dice.roll(70)
    width = 1 << dice.roll(22)
    jitter = 1 + dice.roll(2) * dice.roll(50)
    times = [800000000000 + dice.roll(1000000)]
    for _ in range(count - 1):
        times.append(times[-1] + 1000 + dice.roll(jitter))
    values = [dice.roll(width) - (width >> 1) for _ in range(count)]
    return blocks.encode_series(dice.roll(256), times, values), times, values


def check_round_trips(dice):
    """Print a digest over everything encoded: the interpreters must agree."""
    digest = hashlib.sha256()
    for _ in range(60):
        item, times, values = random_block(dice)
        digest.update(item)
        block = blocks.decode_block(item)
        check(block.times == times and block.columns[0][1] == values, "round trip of a block")
        check(cobs.decode(cobs.encode(item)) == item, "round trip of COBS")
        item = bytearray(item)
        for _ in range(10):
            item[dice.roll(len(item))] ^= 1 << dice.roll(8)
            refuses(blocks.decode_block, bytes(item))
            refuses(cbor.decode_sequence, bytes(item[: dice.roll(len(item))]))
    print("round trips", binascii.hexlify(digest.digest()).decode())


def check_reader(dice):
    """Frames between noise without 00, split anywhere, all arrive."""
    sent = [dice.octets(1 + dice.roll(300)) for _ in range(40)]
    line = b"".join([b"boot: ok\r\n" + serial.wrap(frame, leading=True) for frame in sent])
    reader = serial.FrameReader()
    received = []
    while line:
        cut = 1 + dice.roll(97)
        received.extend(reader.feed(line[:cut]))
        line = line[cut:]
    check(received == sent, "frames of the reader")
    check(reader.take_text() == b"boot: ok\r\n" * 40, "text of the reader")
    reader.feed(dice.octets(3000))
    check(len(reader.feed(serial.wrap(sent[0], leading=True))) == 1, "a frame after noise")
    print("reader", reader.text, reader.damaged > 0)


def main(arguments):
    golden = load(arguments[0])
    check_columns(golden["columns"])
    check_blocks(golden)
    check_descriptors(golden["descriptors"])
    check_round_trips(Dice(7))
    check_reader(Dice(11))
    for folder in arguments[1:]:
        check_rfc8949(folder)
        check_cobs(folder)


main(sys.argv[1:])
