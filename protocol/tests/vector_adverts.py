"""Golden advertisements, sealed by arithmetic of their own: HKDF and CCM from their RFCs."""

import hashlib
import hmac

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from vector_dice import Dice
from vector_session import EUI, KEY

SERVICE = bytes.fromhex("2ba200014c1d4e7a9d356c696c6f6e67")
TOLD = {
    "alarm": True,
    "raised": True,
    "device_class": 3,
    "waiting": 9,
    "age_s": 70,
    "supply_mv": 3712,
    "channel": 104,
    "seq": 0x1FE,
}
CALM = dict.fromkeys(("alarm", "raised"), False) | dict.fromkeys(("channel", "seq"), 0)
READS = TOLD | {"waiting": 8, "age_s": 64, "supply_mv": 3700, "seq": 0xFE}
COUNTS = [(0, 0, 0), (1, 1, 1), (2, 2, 2), (3, 2, 2), (4, 3, 4)]
COUNTS += [(16383, 14, 8192), (16384, 15, 16384), (32768, 15, 16384)]
SUPPLIES = [(19, 1, 20), (20, 1, 20), (39, 1, 20), (5099, 254, 5080), (5100, 255, 5100)]
PLAIN = bytes.fromhex("c347b968fe")


def advert_key(key):
    """HKDF of RFC 5869: one block of 32 bytes is more than enough."""
    extracted = hmac.digest(bytes(32), key, hashlib.sha256)
    return hmac.digest(extracted, b"lilong advert\x01", hashlib.sha256)[:16]


def block(key, data):
    return Cipher(algorithms.AES(key), modes.ECB()).encryptor().update(data)  # noqa: S305


def xor(one, other):
    return bytes(left ^ right for left, right in zip(one, other, strict=False))


def sealed(key, nonce, plaintext, aad):
    """CCM of RFC 3610, L = 2, M = 6, for short texts: B_0, one block of aad, one of text."""
    state = block(key, bytes([0x51]) + nonce + len(plaintext).to_bytes(2, "big"))
    for data in (len(aad).to_bytes(2, "big") + aad, plaintext):
        state = block(key, xor(state, data.ljust(16, b"\0")))
    stream = [block(key, b"\x01" + nonce + bytes([0, number])) for number in (0, 1)]
    return xor(plaintext, stream[1]) + xor(state, stream[0])[:6]


def advert(key, eui, counter, plaintext, head=0x2C):
    clear = bytes([head]) + eui + counter.to_bytes(4, "big")
    return clear + sealed(advert_key(key), eui + b"\0" + clear[9:], plaintext, clear)


def payload(data):
    return bytes.fromhex("020106 1bff ffff") + data


def scan_response(eui):
    name = b"lilong " + eui[-2:].hex().encode()
    return b"\x11\x07" + SERVICE[::-1] + bytes([1 + len(name)]) + b"\x09" + name


def chosen():
    """Yield name, counter, what is told, its five bytes, what is read."""
    yield "an alarm", 1024, TOLD, PLAIN, READS
    cleared = {"raised": False}
    yield "a cleared alarm", 1025, TOLD | cleared, b"\x83" + PLAIN[1:], READS | cleared
    calm = bytes.fromhex("0347b90000")
    yield "no alarm; nothing of one is told", 1026, TOLD | {"alarm": False}, calm, READS | CALM
    nothing = dict.fromkeys(("device_class", "waiting", "age_s"), 0) | CALM | {"supply_mv": None}
    yield "nothing at all, and the least counter", 0, nothing, bytes(5), nothing
    most = {"device_class": 63, "waiting": 1 << 40, "age_s": 1 << 33, "supply_mv": 90000}
    most |= {"alarm": True, "raised": True, "channel": 255, "seq": (1 << 32) - 1}
    read = most | {"waiting": 16384, "age_s": 16384, "supply_mv": 5100, "seq": 255}
    yield "the most of all, and the greatest counter", (1 << 32) - 1, most, b"\xff" * 5, read
    for number, row in enumerate(COUNTS):
        yield counted(2000 + number, *row)
    for number, row in enumerate(SUPPLIES):
        yield supplied(3000 + number, *row)


def counted(counter, count, code, back):
    changes = {"waiting": count, "age_s": count}
    text = bytes([PLAIN[0], code << 4 | code]) + PLAIN[2:]
    reads = READS | {"waiting": back, "age_s": back}
    return f"{count} waiting for {count} s", counter, TOLD | changes, text, reads


def supplied(counter, supply_mv, code, back):
    text = PLAIN[:2] + bytes([code]) + PLAIN[3:]
    changes = {"supply_mv": supply_mv}
    return f"{supply_mv} mV", counter, TOLD | changes, text, READS | {"supply_mv": back}


def made_adverts():
    dice = Dice(12)
    cases = [(name, KEY, EUI, *rest) for name, *rest in chosen()]
    cases += [("another node", dice(16), dice(8), *rest) for _, *rest in list(chosen())[:2]]
    encoded = [
        {"name": name, "key": key.hex(), "eui": eui.hex(), "counter": counter}
        | {"told": told, "advert_key": advert_key(key).hex()}
        | {"nonce": (eui + b"\0" + counter.to_bytes(4, "big")).hex(), "plaintext": text.hex()}
        | {"reads": reads, "hex": advert(key, eui, counter, text).hex()}
        | {"payload": payload(advert(key, eui, counter, text)).hex()}
        | {"scan_response": scan_response(eui).hex()}
        for name, key, eui, counter, told, text, reads in cases
    ]
    return {"encoded": encoded, "accepted": accepted(), "refused": refused(dice)}


def accepted():
    """What our nodes never say: a raised alarm, a channel and a seq, but no alarm."""
    text = b"\x43" + PLAIN[1:]
    case = {"why": "bit 6, channel and seq without an alarm", "key": KEY.hex()}
    return [case | {"reads": READS | CALM, "hex": advert(KEY, EUI, 5, text).hex()}]


def refused(dice):
    """`shape`: whether it looks like an advertisement, so that only the key tells."""
    good = advert(KEY, EUI, 1024, PLAIN)
    cases = [("under another key", True, advert(dice(16), EUI, 1024, PLAIN))]
    for at, what in ((1, "EUI"), (8, "EUI"), (9, "counter"), (12, "counter"), (13, "text")):
        cases.append((f"a bit of the {what}, byte {at}", True, flipped(good, at)))
    cases += [(f"a bit of the tag, byte {at}", True, flipped(good, at)) for at in (18, 23)]
    cases.append(("an 8-byte tag, cut", True, good[:18] + dice(6)))
    cases.append(("zeros", False, bytes(24)))
    for head, what in (
        (0x0C, "version 0"),
        (0x4C, "version 2"),
        (0x2D, "type 13"),
        (0x22, "DATA"),
    ):
        cases.append((what, False, advert(KEY, EUI, 1024, PLAIN, head)))
    cases += [("nothing", False, b""), ("a byte short", False, good[:-1])]
    cases += [
        ("a byte long", False, good + b"\0"),
        ("with its company", False, b"\xff\xff" + good),
    ]
    return [
        {"why": why, "key": KEY.hex(), "shape": shape, "hex": data.hex()}
        for why, shape, data in cases
    ]


def flipped(data, at):
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
