"""A presence radar of the LD2410 family: reports ten times a second, and takes commands."""

import struct

from chip import SimulatedChip

_PERIOD_S = 0.1
_MOST_REPORTS = 40
_GATE_M = 0.75
_MOVING = (50, 50, 40, 30, 20, 15, 15, 15, 15)
_STATIONARY = (0, 0, 40, 40, 30, 30, 20, 20, 20)


class Chip(SimulatedChip):
    """Somebody at `moving_distance` with `moving_energy` (0..100), and so for stationary.

    An energy above the sensitivity of its gate is a target. `engineering` starts in that mode;
    with `calibrating` (a state 4..6) it measures the noise of the room. Faults: absent, damaged
    (the end of a report is missing), stuck, nonsense (energies of 255), refusing (commands fail).
    """

    def __init__(self, entry: "dict[str, object]", now_s: "object") -> None:
        super().__init__(entry, now_s)
        self.gates = [8, 8]
        self.no_one_s = entry.get("no_one_s", 5)
        self.sensitivities = [list(_MOVING), list(_STATIONARY)]
        self.engineering = bool(entry.get("engineering"))
        self.configuring = False
        self.written = 0
        self._next_s = self.now_s()
        self._held = (0, -1e9)
        self._came = b""
        self._replies = b""

    def receive(self, data: bytes) -> None:
        """Take bytes of commands."""
        if self.fault("absent"):
            return
        self._came = (self._came + bytes(data))[-128:]
        while True:
            at = self._came.find(b"\xfd\xfc\xfb\xfa")
            if at < 0 or len(self._came) < at + 6:
                return
            (size,) = struct.unpack("<H", self._came[at + 4 : at + 6])
            if len(self._came) < at + 10 + size:
                return
            self._obey(self._came[at + 6 : at + 6 + size])
            self._came = self._came[at + 10 + size :]

    def send(self) -> bytes:
        """Return the replies and the reports that are due."""
        sent, self._replies = self._replies, b""
        missed = int((self.now_s() - self._next_s) / _PERIOD_S) - _MOST_REPORTS
        self._next_s += max(0, missed) * _PERIOD_S
        while self._next_s <= self.now_s():
            self._next_s += _PERIOD_S
            if not self.configuring and not self.fault("absent"):
                sent += self._report()
        return sent

    def _obey(self, data: bytes) -> None:
        word, value = data[0], data[2:]
        if word == 0xFF:
            self.configuring = True
            self._reply(word, struct.pack("<HH", 1, 0x40))
        elif self.configuring:
            self._configured(word, value)

    def _configured(self, word: int, value: bytes) -> None:
        answer = b""
        if word == 0xFE:
            self.configuring = False
        elif word == 0x61:
            answer = bytes([0xAA, 8] + self.gates + self.sensitivities[0] + self.sensitivities[1])
            answer += struct.pack("<H", self.no_one_s)
        elif word in {0x62, 0x63}:
            self.engineering = word == 0x62
        elif word in {0x60, 0x64} and not self.fault("refusing"):
            self.written += 1
            _, first, _, second, _, third = struct.unpack("<HIHIHI", value)
            self._write(word, first, second, third)
        self._reply(word, answer)

    def _write(self, word: int, first: int, second: int, third: int) -> None:
        if word == 0x60:
            self.gates, self.no_one_s = [first, second], third
            return
        for gate in range(9) if first == 0xFFFF else (first,):
            self.sensitivities[0][gate] = second
            if gate >= 2:
                self.sensitivities[1][gate] = third

    def _reply(self, word: int, answer: bytes) -> None:
        status = 1 if word in {0x60, 0x64} and self.fault("refusing") else 0
        data = bytes((word, 1, status, 0)) + answer
        self._replies += b"\xfd\xfc\xfb\xfa" + struct.pack("<H", len(data)) + data
        self._replies += b"\x04\x03\x02\x01"

    def _target(self, kind: int) -> "tuple[int, int]":
        """Return centimetres and energy of what moves (0) or rests (1); no energy, no target."""
        name = ("moving", "stationary")[kind]
        distance_m = self.value(name + "_distance", 0)
        energy = round(self.value(name + "_energy", 0))
        gate = min(8, int(distance_m / _GATE_M))
        if gate > self.gates[kind] or energy <= self.sensitivities[kind][gate]:
            return 0, 0
        return round(distance_m * 100), energy

    def _state(self, seen: int) -> int:
        """Return the state to report: it lasts for no_one_s longer than what is seen."""
        state, until_s = self._held
        if seen:
            self._held = (seen, self.now_s() + self.no_one_s)
            return seen
        return state if self.now_s() < until_s else 0

    def _report(self) -> bytes:
        moving, stationary = self._target(0), self._target(1)
        state = self._state((moving[1] > 0) + 2 * (stationary[1] > 0))
        state = self.state("calibrating", 0) or state
        energies = (255, 255) if self.fault("nonsense") else (moving[1], stationary[1])
        near = [cm for cm, energy in (moving, stationary) if energy]
        target = struct.pack(
            "<BHBHBH", state, moving[0], energies[0], stationary[0], energies[1], min(near or [0])
        )
        if self.engineering:
            target += bytes([8, 8]) + bytes(range(18)) + b"\x60\x01"
        data = bytes((1 if self.engineering else 2, 0xAA)) + target + b"\x55\x00"
        end = b"\xf8\xf7" if self.fault("damaged") else b"\xf8\xf7\xf6\xf5"
        return b"\xf4\xf3\xf2\xf1" + struct.pack("<H", len(data)) + data + end
