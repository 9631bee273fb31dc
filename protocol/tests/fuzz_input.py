"""Absurd fields, bent sequences and damaged bytes, from a random generator."""

import random

from lilong_protocol import cbor

NUMBERS = (0, 1, 2, 7, 16, 17, 255, 256, 1 << 16, (1 << 32) - 1, 1 << 32, 1 << 48, (1 << 64) - 1)


def absurd(dice: random.Random, depth: int = 0) -> object:
    """Anything that CBOR can say here, with a liking for limits."""
    choice = dice.randrange(8 if depth < 3 else 6)
    if choice < 3:
        number = dice.choice(NUMBERS)
        return number if dice.random() < 0.8 else -number
    if choice == 3:
        return dice.randbytes(dice.choice((0, 1, 8, 9, 400, 900)))
    if choice == 4:
        return "\n" * dice.choice((0, 1, 64, 65))
    if choice == 5:
        return dice.choice((None, True, False))
    return [absurd(dice, depth + 1) for _ in range(dice.choice((0, 1, 4, 5)))]


def bent(dice: random.Random, fields: list[object]) -> bytes:
    """A sequence of these fields, some of them absurd, too few, too many or cut."""
    fields = [absurd(dice) if dice.random() < 0.1 else field for field in fields]
    if dice.random() < 0.1:
        fields = fields[: dice.randrange(len(fields) + 1)]
    if dice.random() < 0.1:
        fields.append(absurd(dice))
    data = cbor.encode_sequence(fields)[:980]
    return mutated(dice, data) if dice.random() < 0.1 else data


def mutated(dice: random.Random, data: bytes) -> bytes:
    """The same bytes, damaged in one to three places."""
    out = bytearray(data)
    for _ in range(dice.randint(1, 3)):
        at = dice.randrange(len(out) + 1)
        choice = dice.randrange(5)
        if choice == 0:
            out[at:] = b""
        elif choice == 1:
            out[at:at] = dice.randbytes(dice.randint(1, 8))
        elif choice == 2:
            out[at : at + dice.randint(1, 8)] = b""
        elif at < len(out):
            out[at] ^= 1 << dice.randrange(8) if choice == 3 else dice.randrange(1, 256)
    return bytes(out)
