"""Golden secure frames at the limits of their fields, their serial form, and spoilt ones."""

import binascii

from vector_dice import Dice

from lilong_protocol import blocks, cbor, cobs, schedule
from lilong_protocol.cipher import GATEWAY_ID, NODE_ID, FrameCipher
from lilong_protocol.serial import wrap

TIME_MS = 848620800000


def made_frames(session):
    """Return frames at the limits of their fields, and the same ones spoilt."""
    key, salt, context = (bytes.fromhex(session[name]) for name in ("key", "salt", "id_context"))
    iv = bytes.fromhex(session["common_iv"])
    frames = []
    for name, source, kind, stream, counter, plaintext in chosen_frames():
        ours = NODE_ID if source == "node" else GATEWAY_ID
        cipher = FrameCipher(key, salt, context, ours, b"")
        cipher.sent = counter
        case = {"name": name, "from": source, "type": kind, "stream": stream, "counter": counter}
        case["nonce"] = schedule.nonce(iv, ours, counter).hex()
        case["plaintext"] = plaintext.hex()
        case["hex"] = cipher.seal(kind, plaintext, stream).hex()
        frames.append(case)
    names = ("key", "salt", "id_context", "node_key", "gateway_key", "common_iv")
    spoilt = [
        {"why": why, "from": source, "error": error, "hex": data.hex()}
        for why, source, error, data in spoilt_frames(bytes.fromhex(frames[0]["hex"]))
    ]
    return {name: session[name] for name in names} | {"frames": frames, "refused": spoilt}


def chosen_frames():
    dice = Dice(9)
    item = blocks.encode_single(3, TIME_MS, -7)
    yield "DATA", "node", 2, 2, 0, cbor.encode(0) + item
    yield "DATA without an item", "node", 2, 3, 1, cbor.encode(1)
    yield "DATA of an unknown kind", "node", 2, 1, 2, cbor.encode_sequence([2, 9, "later"])
    yield "DATA, highest seq", "node", 2, 0, 3, cbor.encode((1 << 32) - 1) + item
    yield "the last counter of a session", "node", 2, 2, (1 << 20) - 1, cbor.encode(5) + item
    yield "the longest frame", "node", 2, 2, 65536, dice(1024 - 16)
    yield "nothing sealed", "node", 2, 2, 255, b""
    yield "ACK", "gateway", 3, 1, 0, cbor.encode_sequence([2, 1, 0, 8])
    yield "ACK of all", "gateway", 3, 1, 1, cbor.encode_sequence([*range(4)] * 4)
    yield "TIME asked", "node", 5, 1, 70, cbor.encode(123456)
    yield "TIME answered", "gateway", 5, 1, 71, cbor.encode_sequence([123456, TIME_MS])


def spoilt_frames(good):
    for at, what in ((0, "type"), (1, "stream"), (3, "short id"), (7, "counter"), (8, "text")):
        damaged = bytearray(good)
        damaged[at] ^= 1 << 7 if at == 1 else 1
        yield f"a bit of the {what}", "node", "unauthentic", bytes(damaged)
    yield "a bit of the tag", "node", "unauthentic", good[:-1] + bytes([good[-1] ^ 128])
    yield "a reserved bit", "node", "unauthentic", good[:1] + bytes([good[1] ^ 1]) + good[2:]
    yield "cut short", "node", "unauthentic", good[:-1]
    yield "longer", "node", "unauthentic", good + b"\0"
    yield "a header alone", "node", "unauthentic", good[:8]
    yield "sent back to who sent it", "gateway", "unauthentic", good
    yield "seven bytes", "node", "undecodable", good[:7]
    yield "nothing", "node", "undecodable", b""
    yield "1025 bytes", "node", "undecodable", good + bytes(1025 - len(good))
    for version in (0, 2, 7):
        data = bytes([version << 5 | good[0] & 31]) + good[1:]
        yield f"version {version}", "node", "undecodable", data


def made_serial(sessions, frames):
    wrapped = []
    for number, case in enumerate([step for session in sessions for step in session["steps"]]):
        data = bytes.fromhex(case["frame"])
        text = {"name": case["name"], "leading": number % 2 == 0, "frame": case["frame"]}
        wrapped.append(text | {"hex": wrap(data, leading=number % 2 == 0).hex()})
    for case in frames["frames"]:
        text = {"name": case["name"], "leading": False, "frame": case["hex"]}
        wrapped.append(text | {"hex": wrap(bytes.fromhex(case["hex"])).hex()})
    for size in (1, 249, 250, 251, 252, 253, 254, 255, 504, 1024):
        for name, octet in (("zeros", b"\0"), ("ones", b"\1")):
            text = {"name": f"{size} {name}", "leading": False, "frame": (octet * size).hex()}
            wrapped.append(text | {"hex": wrap(octet * size).hex()})
    streams = [
        {"why": why, "hex": data.hex(), "frames": [good.hex() for good in held], "text": text}
        | {"damaged": damaged, "oversized": oversized}
        for why, data, held, text, damaged, oversized in lines(bytes.fromhex(wrapped[0]["frame"]))
    ]
    return {"wrapped": wrapped, "streams": streams}


def lines(good):
    """Yield why, bytes of the line, frames in it, text in it, damaged and oversized pieces."""
    whole = wrap(good)
    flipped = whole[:5] + bytes([whole[5] ^ 3]) + whole[6:]
    yield "nothing but delimiters", b"\0\0\0\0", [], "", 0, 0
    yield "two frames with one delimiter", whole + whole, [good, good], "", 0, 0
    yield "a damaged frame, then a good one", flipped + whole, [good], "", 1, 0
    yield "a frame without its end, then a good one", whole[:9] + b"\0" + whole, [good], "", 1, 0
    yield "a run that reaches beyond the end", b"\x05\x01\x02\0" + whole, [good], "", 1, 0
    yield "a CRC without a frame", b"\x01\x01\x01\x01\x01\0" + whole, [good], "", 1, 0
    yield "text, delimited", b"boot ok\r\n\0" + whole, [good], "boot ok\r\n", 0, 0
    yield "text right before a frame", b"boot ok\r\n" + whole, [good], "boot ok\r\n", 0, 0
    yield "text amid a frame", whole[:9] + b"log\n" + whole[9:] + whole, [good], "", 1, 0
    yield "a piece that is too long", b"\xff" * 1040 + b"\0" + whole, [good], "", 0, 1
    yield "1025 bytes, well formed", wrap_long(1025) + whole, [good], "", 0, 1


def wrap_long(size):
    """Return what wrap would make of a frame that is too long."""
    data = b"\1" * size
    body = data + binascii.crc32(data).to_bytes(4, "little")
    return cobs.encode(body) + b"\0"
