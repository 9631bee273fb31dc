"""The BLE link of Lilong, written from SPEC.md alone, like paper_decoder.py.

Everything wrong is a ValueError. Numbers in brackets are sections of SPEC.md.
"""

from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESCCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

SERVICE = "2ba20001-4c1d-4e7a-9d35-6c696c6f6e67"


def need(condition: bool, what: str) -> None:
    if not condition:
        raise ValueError(what)


# [15.2] Pieces


class Link:
    """One direction of one connection."""

    def __init__(self) -> None:
        self.damaged = self.oversized = 0
        self.comes_next = 0
        self.under_way: bytes | None = None
        self.skips = False

    def take(self, value: bytes) -> list[bytes]:
        whole: list[bytes] = []
        while value:
            if len(value) < 2 or value[1] == 0 or len(value) < 2 + value[1]:
                self._damage()  # rule 1
                break
            head, size = value[0], value[1]
            part, value = value[2 : 2 + size], value[2 + size :]
            whole += self._piece(bool(head & 128), bool(head & 64), head & 63, part)
        return whole

    def _damage(self) -> None:
        self.damaged += 1
        self.under_way, self.skips = None, True

    def _piece(self, first: bool, last: bool, number: int, part: bytes) -> list[bytes]:
        if number != self.comes_next:
            self._damage()  # rule 2
        self.comes_next = (number + 1) % 64
        if first:  # rule 3
            self.damaged += self.under_way is not None
            self.under_way, self.skips = part, False
        elif self.under_way is not None:  # rule 4
            self.under_way += part
        elif not self.skips:
            self._damage()
        if self.under_way is not None and len(self.under_way) > 1024:  # rule 5
            self.oversized += 1
            self.under_way, self.skips = None, True
        if not last:
            return []
        done, self.under_way, self.skips = self.under_way, None, False  # rule 6
        return [] if done is None else [done]


# [15.3] Advertisements


class Heard(NamedTuple):
    eui: bytes
    counter: int
    alarm: bool
    raised: bool
    device_class: int
    waiting: int
    age_s: int
    supply_mv: int | None
    channel: int
    seq: int


def structures(data: bytes) -> dict[int, bytes]:
    """Return advertising data by type: length, type and content follow each other."""
    found = {}
    while data:
        size = data[0]
        need(1 <= size < len(data), "advertising data")
        found[data[1]], data = data[2 : 1 + size], data[1 + size :]
    return found


def advert_of(payload: bytes) -> bytes:
    content = structures(payload).get(0xFF, b"")
    need(content[:2] == b"\xff\xff" and len(content) == 26, "another manufacturer")
    return content[2:]


def advert_key(key: bytes) -> bytes:
    return HKDF(hashes.SHA256(), 16, bytes(32), b"lilong advert").derive(key)


def at_least(code: int) -> int:
    return 2 ** (code - 1) if code else 0


def open_advert(key: bytes, advert: bytes) -> Heard:
    """Return what an authentic advertisement says, counts as the least that they may be."""
    need(len(advert) == 24 and advert[0] == 0x2C, "nobody's")
    eui, counter = advert[1:9], advert[9:13]
    try:
        cipher = AESCCM(advert_key(key), tag_length=6)
        told = cipher.decrypt(eui + b"\x00" + counter, advert[13:], advert[:13])
    except InvalidTag as error:
        raise ValueError("tag") from error
    alarm = told[0] >= 128
    return Heard(
        eui,
        int.from_bytes(counter, "big"),
        alarm,
        alarm and told[0] & 64 == 64,
        told[0] % 64,
        at_least(told[1] // 16),
        at_least(told[1] % 16),
        20 * told[2] if told[2] else None,
        told[3] if alarm else 0,
        told[4] if alarm else 0,
    )


def read_response(response: bytes) -> tuple[str, str]:
    """Return the UUID of the service and the name."""
    found = structures(response)
    text = found[7][::-1].hex()
    uuid = "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))
    return uuid, found[9].decode("ascii")
