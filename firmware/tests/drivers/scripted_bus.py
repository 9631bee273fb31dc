"""A bus that knows beforehand what a driver will say, as a datasheet's example tells it."""


class ScriptedI2c:
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

    def readfrom_into(self, address, buffer):
        buffer[:] = self.readfrom(address, len(buffer))

    def writeto_mem(self, address, register, data, addrsize=8):
        self.writeto(address, register.to_bytes(addrsize // 8, "big") + bytes(data))

    def readfrom_mem(self, address, register, count, addrsize=8):
        self.writeto(address, register.to_bytes(addrsize // 8, "big"))
        return self.readfrom(address, count)

    def readfrom_mem_into(self, address, register, buffer, addrsize=8):
        buffer[:] = self.readfrom_mem(address, register, len(buffer), addrsize)

    def _play(self, direction, address, data):
        assert self._script, (direction, address, data)
        expected = self._script.pop(0)
        assert expected[:2] == (direction, address), (expected, direction, address, data)
        if isinstance(expected[2], Exception):
            raise expected[2]
        assert data is None or data == expected[2], (expected, data)
        return expected[2]


class ChipI2c:
    """I2C with simulated chips by address."""

    def __init__(self, chips):
        self._chips = chips

    def writeto(self, address, data):
        self._chip(address).write(bytes(data))

    def readfrom(self, address, count):
        return bytes(self._chip(address).read(count))

    def readfrom_into(self, address, buffer):
        buffer[:] = self.readfrom(address, len(buffer))

    def writeto_mem(self, address, register, data, addrsize=8):
        self.writeto(address, register.to_bytes(addrsize // 8, "big") + bytes(data))

    def readfrom_mem(self, address, register, count, addrsize=8):
        self.writeto(address, register.to_bytes(addrsize // 8, "big"))
        return self.readfrom(address, count)

    def readfrom_mem_into(self, address, register, buffer, addrsize=8):
        buffer[:] = self.readfrom_mem(address, register, len(buffer), addrsize)

    def _chip(self, address):
        if address not in self._chips:
            raise OSError(19)
        return self._chips[address]


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
