"""The line, the frames and the keys of Lilong, written from SPEC.md alone, like paper_decoder.py.

Everything wrong is a ValueError. Numbers in brackets are sections of SPEC.md.
"""

import hashlib
import hmac
import io
import zlib
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESCCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

TYPES = {
    0: "HELLO",
    1: "WELCOME",
    2: "DATA",
    3: "ACK",
    5: "TIME",
    6: "REQUEST",
    7: "RESPONSE",
    10: "RESET",
    11: "DESCRIBE",
}


class OversizedError(ValueError):
    """A frame of more than 1024 bytes."""


def need(condition: bool, what: str) -> None:
    if not condition:
        raise ValueError(what)


# [2] The serial line


def uncobs(piece: bytes) -> bytes:
    need(len(piece) > 0 and 0 not in piece, "COBS")
    source, parts = io.BytesIO(piece), []
    while head := source.read(1):
        run = source.read(head[0] - 1)
        need(len(run) == head[0] - 1, "a run beyond the end")
        parts.append(run if head[0] == 255 else run + b"\0")
    whole = b"".join(parts)
    return whole if head_of_last(piece) == 255 else whole[:-1]


def head_of_last(piece: bytes) -> int:
    at = 0
    while at + piece[at] < len(piece):
        at += piece[at]
    return piece[at]


def unframe(piece: bytes) -> bytes:
    body = uncobs(piece)
    need(len(body) > 4, "no frame")
    need(zlib.crc32(body[:-4]) == int.from_bytes(body[-4:], "little"), "CRC")
    if len(body) > 1024 + 4:
        raise OversizedError
    return body[:-4]


def is_text(piece: bytes) -> bool:
    return all(32 <= octet < 127 or octet in (9, 10, 13, 27) for octet in piece)


class Line(NamedTuple):
    frames: list[bytes]
    text: bytes
    damaged: int
    oversized: int


def read_line(line: bytes) -> Line:
    frames, text, damaged, oversized = [], b"", 0, 0
    for piece in line.split(b"\0"):
        if not piece:
            continue
        logs, rest = set_aside(piece)
        text += logs
        try:
            frames.append(unframe(rest))
        except OversizedError:
            oversized += 1
        except ValueError:
            if len(rest) > 1033:
                oversized += 1
            elif is_text(rest):
                text += rest
            else:
                damaged += 1
    return Line(frames, text, damaged, oversized)


def set_aside(piece: bytes) -> tuple[bytes, bytes]:
    """Split off the lines of text before what may be a frame."""
    try:
        unframe(piece)
    except OversizedError:
        return b"", piece
    except ValueError:
        clean = next((at for at, octet in enumerate(piece) if not is_text(bytes([octet]))), None)
        end = piece.rfind(b"\n", 0, clean) + 1
        return piece[:end], piece[end:]
    return b"", piece


# [3] and [4] Frames and keys


class Head(NamedTuple):
    name: str
    stream: int
    counter: int


def read_head(frame: bytes) -> Head:
    need(8 <= len(frame) <= 1024 and frame[0] >> 5 == 1, "no frame of version 1")
    return Head(
        TYPES.get(frame[0] & 31, "reserved"), frame[1] >> 6, int.from_bytes(frame[4:8], "big")
    )


def hkdf(secret: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    return HKDF(hashes.SHA256(), length, salt or bytes(32), info).derive(secret)


class Keys:
    def __init__(self, key: bytes, hello: bytes, welcome: bytes) -> None:
        self.salt = hashlib.sha256(hello + welcome[:17]).digest()
        self.context = hello[18:26] + welcome[9:17]
        self.key = {
            "node": self._derive(key, b"\x00", "Key", 16),
            "gateway": self._derive(key, b"\x01", "Key", 16),
        }
        self.iv = self._derive(key, b"", "IV", 13)
        self.last = {"node": -1, "gateway": -1}

    def _derive(self, key: bytes, identifier: bytes, label: str, length: int) -> bytes:
        info = bytes([0x85, 0x40 | len(identifier)]) + identifier + b"\x50" + self.context
        info += bytes([10, 0x60 | len(label)]) + label.encode() + bytes([length])
        return hkdf(key, self.salt, info, length)

    def nonce(self, source: str, counter: int) -> bytes:
        identifier = b"\x00" if source == "node" else b"\x01"
        text = b"\x01" + bytes(6) + identifier + counter.to_bytes(5, "big")
        return bytes(one ^ other for one, other in zip(self.iv, text, strict=True))

    def open(self, source: str, frame: bytes) -> bytes:
        told = read_head(frame)
        need(self.last[source] < told.counter < 1 << 20, "counter")
        clear = 17 if told.name == "WELCOME" else 8
        try:
            cipher = AESCCM(self.key[source], tag_length=8)
            nonce = self.nonce(source, told.counter)
            plaintext = cipher.decrypt(nonce, frame[clear:], frame[:clear])
        except (InvalidTag, ValueError) as error:
            raise ValueError("tag") from error
        self.last[source] = told.counter
        return plaintext


def open_hello(key: bytes, frame: bytes) -> bytes:
    """Return the sequence of an authentic HELLO [5.1]."""
    need(len(frame) >= 34, "a short HELLO")
    cipher = AESCCM(hkdf(key, b"", b"lilong hello", 16), tag_length=8)
    tag = cipher.encrypt(frame[18:26] + bytes(5), b"", frame[:-8])
    need(hmac.compare_digest(tag, frame[-8:]), "tag")
    need(frame[8] <= 1 <= frame[9], "version")
    return frame[26:-8]
