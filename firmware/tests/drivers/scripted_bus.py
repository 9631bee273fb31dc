"""Buses and lines of a script, as a datasheet's example tells it, or of simulated chips."""

import random


class RegisterI2c:
    """I2C whose transactions of registers are made of `writeto` and `readfrom`."""

    def readfrom_into(self, address, buffer):
        buffer[:] = self.readfrom(address, len(buffer))

    def writeto_mem(self, address, register, data, addrsize=8):
        self.writeto(address, register.to_bytes(addrsize // 8, "big") + bytes(data))

    def readfrom_mem(self, address, register, count, addrsize=8):
        self.writeto(address, register.to_bytes(addrsize // 8, "big"))
        return self.readfrom(address, count)

    def readfrom_mem_into(self, address, register, buffer, addrsize=8):
        buffer[:] = self.readfrom_mem(address, register, len(buffer), addrsize)


class ScriptedI2c(RegisterI2c):
    """I2C with a script: (">", address, bytes) is written, ("<", address, bytes) is read.

    A register is the first bytes of a write. An OSError in the place of bytes is raised. Anything
    else than the script fails the test; `done` tells whether all of it was played.
    """

    def __init__(self, script):
        self._script = list(script)

    @property
    def done(self):
        return not self._script

    def writeto(self, address, data):
        self._play(">", address, bytes(data))

    def readfrom(self, address, count):
        data = self._play("<", address, None)
        assert len(data) == count, (address, len(data), count)
        return data

    def _play(self, direction, address, data):
        assert self._script, (direction, address, data)
        expected = self._script.pop(0)
        assert expected[:2] == (direction, address), (expected, direction, address, data)
        if isinstance(expected[2], Exception):
            raise expected[2]
        assert data is None or data == expected[2], (expected, data)
        return expected[2]


def broken_off(script, every=1):
    """Buses on which nobody answers at one of the script's steps, and then all of it is played."""
    for step in range(0, len(script), every):
        direction, address, _ = script[step]
        yield ScriptedI2c(script[:step] + [(direction, address, OSError(19))] + script)


class ChipI2c(RegisterI2c):
    """I2C with simulated chips by address."""

    def __init__(self, chips):
        self._chips = chips

    def writeto(self, address, data):
        self._chip(address).write(bytes(data))

    def readfrom(self, address, count):
        return bytes(self._chip(address).read(count))

    def _chip(self, address):
        if address not in self._chips:
            raise OSError(19)
        return self._chips[address]


class UnreliableI2c(ChipI2c):
    """Once in `one_in` reads, where it is not 0, the bytes are others, or none come at all."""

    def __init__(self, chips):
        super().__init__(chips)
        self.one_in = 0

    def readfrom(self, address, count):
        data = super().readfrom(address, count)
        if self.one_in and random.getrandbits(16) % self.one_in == 0:
            if random.getrandbits(2) == 0:
                raise OSError(116)
            return bytes([random.getrandbits(8) for _ in data])
        return data


class SteppingI2c(ChipI2c):
    """The bus of a bench: `left` transactions come through, all where it is negative."""

    def __init__(self, bench):
        super().__init__({bench.address: bench.chip})
        self._bench = bench
        self.left = -1

    def _chip(self, address):
        if self.left == 0:
            raise OSError(19)
        self.left -= 1
        self._bench.t += 0.005
        return super()._chip(address)


class NoisyI2c(SteppingI2c):
    """While it is noisy it says anything, but in these registers the truth most of the time."""

    def __init__(self, bench, honest):
        super().__init__(bench)
        self._honest = honest
        self.noisy = True

    def readfrom_mem(self, address, register, count, addrsize=8):
        data = super().readfrom_mem(address, register, count, addrsize)
        if not self.noisy or (register in self._honest and random.getrandbits(4)):
            return data
        return bytes([random.getrandbits(8) for _ in range(count)])


class ChipBench:
    """A bus of one simulated chip whose clock goes on by 5 ms with each transaction."""

    def __init__(self, address, make_chip, entry):
        self.t = 1000.0
        self.address = address
        self.chip = make_chip(entry, lambda: self.t)
        self.i2c = SteppingI2c(self)


class Pieces:
    """A line that gives one piece a look, then silence; nothing lies there to be discarded."""

    def __init__(self, *pieces):
        self._pieces = list(pieces)
        self.discarded = 0

    def read(self):
        return self._pieces.pop(0) if self._pieces else b""

    def discard(self):
        self.discarded += 1


class ChipLine:
    """A line to a simulated chip; each look takes so much of its time."""

    def __init__(self, make_chip, look_s, entry):
        self.now_s = 0.0
        self._look_s = look_s
        self.chip = make_chip(entry, lambda: self.now_s)

    def read(self):
        self.now_s += self._look_s
        return self.chip.send()

    def discard(self):
        self.chip.send()

    async def write(self, data):
        self.chip.receive(data)


class ScriptedLine:
    """A Line: `write` must say what the script expects, and then the answer can be read.

    The script is a list of (written, answer); a first entry with b"" written is there at once.
    Pieces of an answer in a list come one read after the other.
    """

    def __init__(self, script):
        self._script = list(script)
        self._ready = []
        self._offer(b"")

    @property
    def done(self):
        return not self._script

    def read(self):
        return self._ready.pop(0) if self._ready else b""

    def discard(self):
        self._ready.clear()

    async def write(self, data):
        assert self._script, bytes(data)
        expected = self._script[0][0]
        assert bytes(data) == expected, (bytes(data), expected)
        self._offer(expected)

    def _offer(self, written):
        if self._script and self._script[0][0] == written:
            answer = self._script.pop(0)[1]
            self._ready.extend(answer if isinstance(answer, list) else [answer])
