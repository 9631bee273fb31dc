"""A campaign of hostile bytes and hostile peers against both ends of the wire.

    python protocol/tests/fuzz.py --seconds 60 [--seed N]

Rounds follow each other, one of each kind in turn, and depend on nothing but the seed. A finding
ends the campaign with the command that repeats it and the last bytes, in hex; exit status 1.
"""

import argparse
import random
import resource
import sys
import time
import traceback
import tracemalloc
from collections.abc import Callable, Sequence

from fuzz_bench import FindingError, Note
from fuzz_ble import read_adverts, read_values, visits
from fuzz_input import absurd, bent, mutated
from fuzz_rogues import rogue_gateway, rogue_node
from fuzz_strangers import stranger

from lilong_protocol import (
    advert,
    advert_reader,
    blocks,
    cbor,
    cobs,
    columns,
    description,
    description_reader,
    descriptor,
    frame,
    handshake,
    pieces,
    question,
    request,
    serial,
)
from lilong_protocol.acknowledgement import Acknowledgement, parse_acknowledgements
from lilong_protocol.errors import AuthenticationError, DecodeError
from lilong_protocol.receiver import pack_acknowledgements

KEY = bytes(range(16))
PEAK_LIMIT_BYTES = 8 << 20
WATCHED = 16
"""One round in so many is run under tracemalloc, which makes it several times slower."""

DECODERS: dict[str, Callable[[bytes], object]] = {
    "cbor.decode": cbor.decode,
    "cbor.decode_sequence": cbor.decode_sequence,
    "cbor.decode_first": cbor.decode_first,
    "cobs.decode": cobs.decode,
    "columns.decode_column 2": lambda data: columns.decode_column(data, 2),
    "columns.decode_column 60": lambda data: columns.decode_column(data, 60),
    "columns.decode_column 1024": lambda data: columns.decode_column(data, 1024),
    "blocks.decode_block": blocks.decode_block,
    "descriptor.decode_descriptor": descriptor.decode_descriptor,
    "parse_acknowledgements": parse_acknowledgements,
    "parse_description": description_reader.parse_description,
    "parse_welcome": handshake.parse_welcome,
    "parse_request": request.parse_request,
    "parse_response": question.parse_response,
    "parse_header": frame.parse_header,
    "hello_eui": handshake.hello_eui,
    "open_hello": lambda data: handshake.open_hello(data, KEY),
    "welcome_head": handshake.welcome_head,
    "read_advert": advert_reader.read_advert,
    "AdvertOpener.open": advert_reader.AdvertOpener(KEY).open,
    "PieceReader.feed": lambda data: pieces.PieceReader().feed(data),
}
SEQUENCES = (0, 1, 2, 4, 6, 7, 8, 9, 10)
"""Which of the sound encodings are sequences of CBOR."""


def sound(dice: random.Random) -> list[bytes]:
    """Encodings that a peer of good will could send."""
    count = dice.choice((2, 3, 60, 200))
    spread = dice.choice((0, 1, 100, 1 << 31, 1 << 40))
    values = [dice.randint(-spread, spread) for _ in range(count)]
    times = [1000 * at + dice.choice((0, 0, 0, 7)) for at in range(count)]
    first = [dice.randrange(100) for _ in range(4)]
    channel = descriptor.Channel(1, "level", "m", -3, -3, 0, "water level")
    hello = handshake.Hello(bytes(8), 1, 2, 3, first, [200] * 4, bytes(8), 1, "fuzzed")
    told = [Acknowledgement(dice.randrange(4), count, 5, 16)]
    return [
        blocks.encode_single(1, 5, spread),
        blocks.encode_series(1, times, values, dice.choice((None, 7))),
        blocks.encode_table(times, [(1, values), (2, values)]),
        columns.encode_column(values) or b"",
        descriptor.encode_descriptor(1, [channel]),
        hello.pack(KEY, dice.randbytes(8)),
        pack_acknowledgements(told),
        description.Description(1, None, 0, bytes(8), b"d").pack(),
        handshake.Welcome(5, first, descriptor_known=True).pack(),
        request.Request(count, request.REKEY, KEY).pack(),
        request.Response(count, request.DONE, dice.randbytes(count)).pack(),
        cobs.encode(dice.randbytes(count)),
        advert.seal_advert(KEY, bytes(8), count, advert.parse_told(dice.randbytes(5))),
    ]


def read_serial(dice: random.Random, note: Note) -> None:
    """A line with noise, text and damaged frames between sound ones, in pieces of any size."""
    reader = serial.FrameReader()
    sent: set[bytes] = set()
    line = bytearray()
    for _ in range(30):
        body = dice.randbytes(dice.choice((1, 8, 254, 255, 1024)))
        sent.add(body)
        wrapped = serial.wrap(body, leading=dice.random() < 0.5)
        damaged = dice.random() < 0.5
        line += mutated(dice, wrapped) if damaged else wrapped
        line += dice.choice((b"", b"log\r\n", b"\0", dice.randbytes(dice.randrange(3000))))
    at = 0
    while at < len(line):
        size = dice.choice((1, 7, 100, 4096))
        for found in reader.feed(note(bytes(line[at : at + size]))):
            if found not in sent:
                raise FindingError("a frame that was never sent")
        if len(reader._pending) > 1100 or len(reader._kept) > 4096:
            raise FindingError("the reader holds too much")
        at += size


class Campaign:
    """Counts what was run and what was found."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.cases: dict[str, int] = {}
        self.accepted = 0
        self.uncaught = 0
        self.peak_bytes = 0
        self.last = b""
        self.decoders = dict(DECODERS)
        self.kinds: dict[str, Callable[[random.Random, Note], None]] = {
            "decoders, bytes": self._decode_bytes,
            "decoders, grammar": self._decode_grammar,
            "serial line": read_serial,
            "BLE values": read_values,
            "BLE advertisements": read_adverts,
            "BLE visits": visits,
            "stranger": stranger,
            "rogue node": rogue_node,
            "rogue gateway": rogue_gateway,
        }

    def run(self, kind: str, number: int) -> bool:
        """Run a round; False after saying what was found."""
        dice = random.Random(f"{self.seed}/{kind}/{number}")
        self.cases.setdefault(kind, 0)

        def note(data: bytes) -> bytes:
            self.cases[kind] += 1
            self.last = data
            return data

        watched = number % WATCHED == 0
        if watched:
            tracemalloc.start()
        try:
            self.kinds[kind](dice, note)
            self._note_peak(watched=watched)
        except FindingError as error:
            self.accepted += 1
            return self._found(kind, number, str(error))
        except Exception:  # noqa: BLE001 - that there is none is what this looks for
            self.uncaught += 1
            return self._found(kind, number, traceback.format_exc())
        finally:
            tracemalloc.stop()
        return True

    def report(self) -> None:
        for kind, count in self.cases.items():
            print(f"{kind:20} {count:>12,} cases")
        print(f"{'together':20} {sum(self.cases.values()):>12,} cases")
        print(f"accepted forgeries and broken rules: {self.accepted}")
        print(f"uncaught exceptions: {self.uncaught}")
        resident_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        print(f"peak memory: {self.peak_bytes >> 10} KiB in a round, {resident_kib} KiB in all")

    def _decode_bytes(self, dice: random.Random, note: Note) -> None:
        """Noise, and sound encodings that were damaged."""
        samples = sound(dice)
        for _ in range(25):
            noise = dice.randbytes(dice.choice((0, 1, 2, 8, 30, 200, 1024)))
            self._decode([noise] + [mutated(dice, sample) for sample in samples], note)

    def _decode_grammar(self, dice: random.Random, note: Note) -> None:
        """Well-formed sequences of fields that are absurd, or belong elsewhere."""
        samples = sound(dice)
        for _ in range(100):
            fields = cbor.decode_sequence(dice.choice([samples[at] for at in SEQUENCES]))
            self._decode([bent(dice, [*fields]), cbor.encode(absurd(dice))], note)

    def _decode(self, samples: list[bytes], note: Note) -> None:
        for sample in samples:
            for decoder in self.decoders.values():
                try:
                    decoder(note(sample))
                except (DecodeError, AuthenticationError):
                    continue

    def _note_peak(self, *, watched: bool) -> None:
        peak_bytes = tracemalloc.get_traced_memory()[1] if watched else 0
        self.peak_bytes = max(self.peak_bytes, peak_bytes)
        if peak_bytes > PEAK_LIMIT_BYTES:
            raise FindingError(f"{peak_bytes} bytes were held at once")

    def _found(self, kind: str, number: int, what: str) -> bool:
        print(f"FOUND by {kind!r}: {what}")
        print(f"last bytes: {self.last.hex()}")
        print(f"again: fuzz.py --seed {self.seed} --kind {kind!r} --round {number}")
        return False


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kind", help="only this kind of round")
    parser.add_argument("--round", type=int, help="only the round of this number")
    chosen = parser.parse_args(arguments)
    campaign = Campaign(chosen.seed)
    kinds = [chosen.kind] if chosen.kind else list(campaign.kinds)
    if not set(kinds) <= set(campaign.kinds):
        parser.error(f"--kind is one of: {', '.join(campaign.kinds)}")
    end_s = time.monotonic() + chosen.seconds
    number = chosen.round or 0
    sound_so_far = True
    while sound_so_far:
        sound_so_far = all(campaign.run(kind, number) for kind in kinds)
        number += 1
        if chosen.round is not None or time.monotonic() >= end_s:
            break
    campaign.report()
    return 0 if sound_so_far else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
