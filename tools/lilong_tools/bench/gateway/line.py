"""A node's end of a line: its frames, sealed when asked, and what opens the gateway's."""

import os
import random
from typing import TYPE_CHECKING

from lilong_protocol import cbor, frame, handshake
from lilong_protocol.acknowledgement import Acknowledgement, parse_acknowledgements
from lilong_protocol.blocks import encode_series
from lilong_protocol.description import Description, descriptor_hash
from lilong_protocol.descriptor import Channel, encode_descriptor
from lilong_protocol.serial import wrap

if TYPE_CHECKING:
    from lilong_protocol.cipher import FrameCipher

EPOCH = 1
BOOT = 1
TIME_MS = 800_000_000_000
"""The time, in ms since 2000, where none but this is needed."""


def descriptor() -> bytes:
    """Return the channels of such a node: one, in hundredths, of time in seconds, public."""
    return encode_descriptor(1, [Channel(0, "value", "", -2, 0, 0, "")])


def eui_of(number: int) -> bytes:
    """Return the EUI-64 of a node by its number."""
    return (0x0212_4B00_0000_0000 + number).to_bytes(8, "big")


def walk(readings: int, seed: int, start_s: int, step_s: int) -> bytes:
    """Return an item: a slow random walk, as of a temperature at 0.01, with one gap in time.

    start_s counts from 2000; the gap is of one reading in the middle.
    """
    chance = random.Random(seed)  # noqa: S311 - data, not a secret
    value, times, values = 2000, [], []
    for index in range(readings):
        value += round(chance.gauss(0, 30))
        times.append(start_s + step_s * (index + (index > readings // 2)))
        values.append(value)
    return encode_series(0, times, values)


class Line:
    """One node: opening is its HELLO; answer() takes the WELCOME, seal() follows."""

    def __init__(self, number: int) -> None:
        self.eui = eui_of(number)
        self.key = os.urandom(16)
        self._descriptor = descriptor()
        self._hash = descriptor_hash(self._descriptor)
        hello = handshake.Hello(self.eui, BOOT, EPOCH, 0, [0] * 4, [0] * 4, self._hash)
        self.opening = hello.pack(self.key, os.urandom(handshake.RANDOM_BYTES))
        self._cipher: FrameCipher | None = None

    def answer(self, welcome: bytes) -> bytes:
        """Return the DESCRIBE, which opens the session."""
        head = handshake.welcome_head(welcome)
        self._cipher = handshake.session_cipher(self.key, self.opening, head, node=True)
        told = Description(BOOT, TIME_MS, 1, self._hash, self._descriptor)
        return self._cipher.seal(frame.DESCRIBE, told.pack(), frame.CONTROL_STREAM)

    def seal(self, seq: int, item: bytes) -> bytes:
        """Return the bytes for the line that carry a batch; after answer(), in order."""
        if self._cipher is None:
            raise RuntimeError("no session yet")
        plaintext = cbor.encode(seq) + item
        return wrap(self._cipher.seal(frame.DATA, plaintext, frame.DATA_STREAM))

    def acknowledged(self, data: bytes) -> list[Acknowledgement]:
        """Return what a frame of the gateway acknowledges: nothing unless it is an ACK."""
        header = frame.parse_header(data)
        if self._cipher is None or header.kind != frame.ACK:
            return []
        return parse_acknowledgements(self._cipher.open(header, data))
