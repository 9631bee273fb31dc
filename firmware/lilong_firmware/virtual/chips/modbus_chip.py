"""A Modbus RTU unit: registers that are computed from physical values."""

import struct

from chip import SimulatedChip
from curve import Curve

_FORMATS = {"u16": ">H", "s16": ">h", "u32": ">I", "s32": ">i", "f32": ">f"}


class Chip(SimulatedChip):
    """Answers the functions 1 to 4 for its own `unit`, after `delay_s`.

    `registers` is a list of {"function", "register", "type", "order", "counts", "value"}; the
    register holds value * counts. With "echo" the line hears itself, with "glitch" the RS-485
    driver leaves a byte before each answer. Faults: absent, damaged, stuck, nonsense, and busy
    (exception 6).
    """

    def __init__(self, entry: "dict[str, object]", now_s: "object") -> None:
        super().__init__(entry, now_s)
        self._unit = entry.get("unit", 1)
        self._came = b""
        self._waiting = []
        self.requests = []

    def receive(self, data: bytes) -> None:
        """Take what the master sends."""
        if self.entry.get("echo"):
            self._waiting.append((self.now_s(), bytes(data)))
        self._came = (self._came + bytes(data))[-64:]
        while len(self._came) >= 8:
            asked, self._came = self._came[:8], self._came[8:]
            if _crc(asked) == 0 and asked[0] == self._unit and not self.fault("absent"):
                self.requests.append(asked)
                self._answer(asked)

    def send(self) -> bytes:
        """Return what is due."""
        due = [data for at_s, data in self._waiting if at_s <= self.now_s()]
        self._waiting = [entry for entry in self._waiting if entry[0] > self.now_s()]
        return b"".join(due)

    def _answer(self, asked: bytes) -> None:
        function = asked[1]
        first, count = struct.unpack(">HH", asked[2:6])
        frame = bytes((self._unit, function)) + self._response(function, first, count)
        if len(frame) == 3:
            frame = bytes((frame[0], function | 0x80, frame[2]))
        crc = _crc(frame) ^ (0x55 if self.fault("damaged") else 0)
        glitch = b"\x00" if self.entry.get("glitch") else b""
        at_s = self.now_s() + self.entry.get("delay_s", 0)
        self._waiting.append((at_s, glitch + frame + struct.pack("<H", crc)))

    def _response(self, function: int, first: int, count: int) -> bytes:
        """Return the byte count and the data, or the code of an exception."""
        if self.fault("busy"):
            return b"\x06"
        if function not in {1, 2, 3, 4}:
            return b"\x01"
        if not 1 <= count <= (2000 if function <= 2 else 125):
            return b"\x03"
        image = self._image(function)
        wanted = [image.get(number) for number in range(first, first + count)]
        if None in wanted:
            return b"\x02"
        data = _packed(wanted) if function <= 2 else b"".join(wanted)
        return bytes((len(data),)) + data

    def _image(self, function: int) -> "dict[int, object]":
        """Return what the registers hold, two bytes each, or the bits."""
        image = {}
        for register in self.entry["registers"]:
            if register.get("function", 3) != function:
                continue
            number = register["register"]
            value = Curve(register["value"]).at(self.frozen_s()) * register.get("counts", 1)
            if function <= 2:
                image[number] = bool(value)
                continue
            data = self._encoded(register, value)
            for index in range(0, len(data), 2):
                image[number + index // 2] = data[index : index + 2]
        return image

    def _encoded(self, register: "dict[str, object]", value: float) -> bytes:
        kind = register.get("type", "u16")
        if self.fault("nonsense"):
            value = float("inf") if kind == "f32" else 0x7FFF
        data = struct.pack(_FORMATS[kind], value if kind == "f32" else round(value))
        order = register.get("order", "abcd")
        if order in {"badc", "dcba"}:
            data = b"".join(
                [data[i + 1 : i + 2] + data[i : i + 1] for i in (0, 2)[: len(data) // 2]]
            )
        if order in {"cdab", "dcba"}:
            data = data[2:] + data[:2]
        return data


def _packed(bits: "list[bool]") -> bytes:
    packed = bytearray((len(bits) + 7) // 8)
    for index, bit in enumerate(bits):
        if bit:
            packed[index // 8] |= 1 << index % 8
    return bytes(packed)


def _crc(data: bytes) -> int:
    """Return the CRC, bit by bit; 0 of a whole frame."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0xA001 if crc & 1 else crc >> 1
    return crc
