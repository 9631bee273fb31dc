"""Hostile values and advertisements, and visits that break off."""

import random

import link_ends as ends
from fuzz_bench import OTHER_KEY, FindingError, Gateway, Note, Slots
from fuzz_input import mutated

from lilong_protocol import frame
from lilong_protocol.advert import Told, payload, seal_advert
from lilong_protocol.advert_reader import AdvertOpener, read_advert
from lilong_protocol.errors import AuthenticationError
from lilong_protocol.greeting import Greeting
from lilong_protocol.node_session import NodeSession
from lilong_protocol.pieces import PieceReader, PieceWriter

SIZES = (20, 182, 244, 509)
MOST_PARTS = 16


def _values(frames: list[bytes], size: int) -> list[bytes]:
    writer = PieceWriter()
    for data in frames:
        writer.put(data)
    values = []
    while writer.waiting:
        values.append(writer.take(size))
    return values


def _check_size(reader: PieceReader) -> None:
    parts = reader._parts or []
    if sum(map(len, parts)) > frame.MAX_FRAME_BYTES or len(parts) > MOST_PARTS:
        raise FindingError("the reader holds too much")


def _frames(dice: random.Random, count: int) -> list[bytes]:
    return [dice.randbytes(dice.choice((8, 18, 40, 255, 1024))) for _ in range(count)]


def read_values(dice: random.Random, note: Note) -> None:
    """Values that were lost, doubled, swapped and joined, and after them a stranger's."""
    sent = _frames(dice, 30)
    values = _values(sent, dice.choice(SIZES))
    reader = PieceReader()
    for value in _disordered(dice, values):
        for found in reader.feed(note(value)):
            if found not in sent:
                raise FindingError("a frame that was never sent")
        _check_size(reader)
    for _ in range(60):
        for found in reader.feed(note(_strange_value(dice, values))):
            if not 1 <= len(found) <= frame.MAX_FRAME_BYTES:
                raise FindingError("a frame of no possible size")
        _check_size(reader)
    last = _frames(dice, 1)
    if [data for value in _values(last, 182) for data in reader.feed(value)] != last:
        raise FindingError("a sound frame after noise is lost")


def _disordered(dice: random.Random, values: list[bytes]) -> list[bytes]:
    """Each is lost, doubled, swapped with the next or joined to it; never two of these at once."""
    out: list[bytes] = []
    waiting = list(values)
    while waiting:
        value = waiting.pop(0)
        choice = dice.randrange(20)
        follower = waiting.pop(0) if waiting and choice < 4 else b""
        changed = {0: [follower], 1: [value, value, follower], 2: [follower, value]}
        out += changed.get(choice, [value + follower])
    return out


def _strange_value(dice: random.Random, values: list[bytes]) -> bytes:
    choice = dice.randrange(4)
    if choice == 0:
        return dice.randbytes(dice.choice((0, 1, 2, 3, 20, 244, 1024)))
    if choice == 1:
        return _endless(dice.randrange(64), *dice.choice(((1, 1300), (255, 9))))
    value = dice.choice(values)
    return mutated(dice, value) if choice == 2 else value


def _endless(number: int, size: int, count: int) -> bytes:
    """A frame that begins and does not end, in pieces of this size."""
    heads = [bytes(((number + at) % 64 | (0 if at else 0x80), size)) for at in range(count)]
    return b"".join(head + bytes(size) for head in heads)


def read_adverts(dice: random.Random, note: Note) -> None:
    """Recorded, damaged, foreign and invented advertisements: only what was sealed is believed."""
    opener = AdvertOpener(ends.KEY)
    sealed = [_advert(dice, ends.KEY, ends.EUI, number) for number in range(20)]
    foreign = [_advert(dice, OTHER_KEY, ends.EUI, number) for number in range(5)]
    for _ in range(200):
        data = note(_strange_advert(dice, sealed, foreign))
        read_advert(data)
        try:
            told = opener.open(data)
        except AuthenticationError:
            continue
        if data not in sealed:
            raise FindingError("a forged advertisement")
        if told.waiting > 1 << 14 or told.age_s > 1 << 14 or (told.supply_mv or 0) > 5100:
            raise FindingError("an advertisement that tells too much")


def _advert(dice: random.Random, key: bytes, eui: bytes, number: int) -> bytes:
    told = Told(
        alarm=dice.random() < 0.5,
        raised=dice.random() < 0.5,
        device_class=dice.randrange(64),
        waiting=dice.choice((0, 1, 1 << 40)),
        age_s=dice.choice((0, 1, 1 << 40)),
        supply_mv=dice.choice((None, 1, 3300, 1 << 20)),
        channel=dice.randrange(256),
        seq=dice.choice((0, 255, (1 << 32) - 1)),
    )
    data = seal_advert(key, eui, dice.choice((number, (1 << 32) - 1 - number)), told)
    if len(payload(data)) != 31:
        raise FindingError("an advertisement that does not fit")
    return data


def _strange_advert(dice: random.Random, sealed: list[bytes], foreign: list[bytes]) -> bytes:
    choice = dice.randrange(5)
    if choice == 0:
        return dice.randbytes(dice.choice((0, 1, 23, 24, 24, 25, 255)))
    if choice == 1:
        one, other, at = dice.choice(sealed), dice.choice(sealed), dice.randrange(25)
        return one[:at] + other[at:]
    if choice == 2:
        return dice.choice(foreign)
    return mutated(dice, dice.choice(sealed)) if choice == 3 else dice.choice(sealed)


class Visit:
    """One connection: pieces both ways, and a stranger who writes and notifies too."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._ways = [(PieceWriter(), PieceReader()) for _ in range(2)]

    def carry(self, way: int, data: bytes, loss: float, dice: random.Random) -> list[bytes]:
        """Return the frames that arrive when this one leaves."""
        writer, reader = self._ways[way]
        writer.put(data)
        frames = []
        while writer.waiting:
            value = writer.take(self._size)
            if dice.random() >= loss:
                frames += reader.feed(value)
            _check_size(reader)
        return frames

    def inject(self, way: int, value: bytes) -> list[bytes]:
        """Return what a value of a stranger completes."""
        return self._ways[way][1].feed(value)


class Site:
    """A node that is visited, a gateway that visits; visits end at any moment."""

    def __init__(self, dice: random.Random) -> None:
        self.dice = dice
        self.now_ms = 0
        self.store: dict[object, bytes] = {}
        self.outbox = ends.WatchedOutbox(self.store)
        greeting = Greeting(1, 1, "fuzzed")
        slots = Slots(dice)
        self.node = NodeSession(
            ends.EUI, slots.keys, self.outbox, dice.randbytes, greeting, b"descriptor"
        )

    def visit(self, note: Note | None, turns: int, loss: float) -> None:
        """Let both speak for so many turns, or until nothing is left where nobody disturbs."""
        dice = self.dice
        link = Visit(dice.choice(SIZES))
        gateway = Gateway(dice, self.store, self.outbox.appended)
        gateway.session.hint()
        spoken = False
        for _ in range(turns):
            self.now_ms += 5
            while (data := gateway.session.poll(self.now_ms)) is not None:
                self._to_node(link.carry(0, data, loss, dice))
            while (said := self.node.poll(self.now_ms)) is not None:
                if not spoken and frame.parse_header(said).kind != frame.HELLO:
                    raise FindingError("a visit that does not begin with HELLO")
                spoken = True
                self._to_gateway(gateway, link.carry(1, said, loss, dice))
            if note is not None and dice.random() < 0.1:
                value = note(_strange_value(dice, [b"\xc0\x08\x2a" + bytes(7)]))
                self._to_node(link.inject(0, value))
                self._to_gateway(gateway, link.inject(1, value))
            if note is None and self.node.idle and gateway.session.drained:
                break
        self.now_ms += dice.choice((0, 5, 60_000))
        self.node.interrupted(self.now_ms)
        self.node.events()

    def _to_node(self, frames: list[bytes]) -> None:
        for data in frames:
            self.node.receive(data, self.now_ms)

    def _to_gateway(self, gateway: Gateway, frames: list[bytes]) -> None:
        for data in frames:
            gateway.receive(data, self.now_ms)


def visits(dice: random.Random, note: Note) -> None:
    """Visits that break off, lose values and have strangers in them; then a quiet one."""
    site = Site(dice)
    for _ in range(dice.randrange(12)):
        for _ in range(dice.randrange(4)):
            site.outbox.append(dice.randrange(4), dice.randbytes(dice.randrange(1, 400)))
        site.visit(note, dice.choice((0, 1, 2, 5, 50, 200)), dice.choice((0.0, 0.0, 0.1, 1.0)))
    site.visit(None, 2000, 0.0)
    if {key[1:]: item for key, item in site.store.items()} != site.outbox.appended:
        raise FindingError("a quiet visit does not bring what the node has")
