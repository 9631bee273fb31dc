"""Repeatable bytes and numbers."""


class Dice:
    """Repeatable bytes, a different sequence for each seed; keeps what was drawn."""

    def __init__(self, seed):
        self.state = seed
        self.drawn = b""

    def __call__(self, count):
        out = bytes(self.roll(256) for _ in range(count))
        self.drawn += out
        return out

    def roll(self, sides):
        self.state = (self.state * 1103515245 + 12345) & 0x7FFFFFFF
        return (self.state >> 8) % sides
