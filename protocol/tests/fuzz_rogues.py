"""Peers that hold the node's key: a node and a gateway that say what they like."""

import random

import link_ends as ends
from fuzz_bench import KINDS, FindingError, Gateway, Note, Slots, counter_of, sealed
from fuzz_input import NUMBERS, absurd, bent

from lilong_protocol import cbor, frame, handshake, request
from lilong_protocol.acknowledgement import parse_acknowledgements
from lilong_protocol.cipher import FrameCipher
from lilong_protocol.description import descriptor_hash
from lilong_protocol.errors import DecodeError
from lilong_protocol.events import Requested
from lilong_protocol.greeting import Greeting
from lilong_protocol.hello import hello_tag
from lilong_protocol.memory_outbox import MemoryOutbox
from lilong_protocol.node_session import OPEN, NodeSession
from lilong_protocol.serial import wrap

MOST_AT_ONCE = 4 * ends.WINDOW + 8
"""Frames: four full windows and what else there is to say."""
DESCRIPTOR = b"descriptor"
DIGEST = descriptor_hash(DESCRIPTOR)
_BODY_AT = 26


def rogue_node(dice: random.Random, note: Note) -> None:
    """A node that holds its key and says what it likes."""
    gateway = Gateway(dice, {}, None)
    cipher = None
    for turn in range(60):
        now_ms = turn * 10
        if cipher is None or dice.random() < 0.03:
            hello = _bent_hello(dice)
            gateway.receive(note(hello), now_ms)
        else:
            gateway.receive(note(_rogue_frame(dice, cipher)), now_ms)
        if dice.random() < 0.05:
            dice.choice((gateway.session.pause, gateway.session.resume))()
        if dice.random() < 0.2:
            gateway.ask(dice.choice((0, 1, 7, 255)), dice.randbytes(dice.choice((0, 16, 960))))
        while (data := gateway.poll(now_ms)) is not None:
            cipher = _heard_by_node(gateway, hello, data, cipher)


def _heard_by_node(
    gateway: Gateway, hello: bytes, data: bytes, cipher: FrameCipher
) -> FrameCipher:
    header = frame.parse_header(data)
    if header.kind == frame.WELCOME:
        head = handshake.welcome_head(data)
        cipher = handshake.session_cipher(ends.KEY, hello, head, node=True)
        cipher.open(header, data, handshake.Welcome.CLEAR_BYTES)
        gateway.receive(sealed(cipher, frame.DESCRIBE, _described(hello), 0), 0)
    elif header.kind == frame.ACK:
        session = gateway.session._session
        for entry in parse_acknowledgements(cipher.open(header, data)):
            durable = gateway.durable(session.hello.eui, session.hello.epoch, entry.stream)
            if entry.next > durable:
                raise FindingError("acknowledged before it was stored")
    return cipher


def _described(hello: bytes) -> bytes:
    """A description of the boot that the HELLO told of."""
    boot, _ = cbor.decode_first(hello[_BODY_AT:])
    return cbor.encode_sequence([boot, None, 0, DIGEST, DESCRIPTOR])


def _bent_hello(dice: random.Random) -> bytes:
    first = [dice.choice(NUMBERS[:8]) for _ in range(4)]
    after = [dice.choice((low, low + 5, 0, 1 << 32)) for low in first]
    if dice.random() < 0.8:
        after = [max(pair) for pair in zip(first, after, strict=True)]
    fields = [dice.randrange(12), dice.randrange(3), dice.choice(NUMBERS[:10]), first, after]
    fields += [DIGEST, 1, "rogue"]
    body = bent(dice, fields) if dice.random() < 0.5 else cbor.encode_sequence(fields)
    nonce = dice.randbytes(8)
    versions = dice.choice((b"\x01\x01", b"\x01\x01", b"\x01\x07", b"\x02\x07", b"\x00\x00"))
    told = (frame.Header(frame.HELLO).pack() + versions + ends.EUI + nonce + body)[:1000]
    return told + hello_tag(ends.KEY, nonce, told)


def _rogue_frame(dice: random.Random, cipher: FrameCipher) -> bytes:
    kind = dice.choice((frame.DATA, frame.DATA, frame.RESPONSE, frame.RESPONSE, *KINDS))
    code = dice.choice((0, 1, 2, 3, 255, 256))
    fields = {
        frame.DATA: [dice.choice((dice.randrange(40), *NUMBERS)), 0, 1, 2, 3],
        frame.TIME: [dice.choice(NUMBERS)],
        frame.DESCRIBE: [1, None, 0, DIGEST, None],
        frame.RESPONSE: [dice.choice((0, 0, 1, 2, NUMBERS[9])), code, dice.randbytes(code % 99)],
    }
    plaintext = bent(dice, fields.get(kind, [absurd(dice)]))
    return sealed(cipher, kind, plaintext, counter_of(dice, cipher), dice.randrange(4))


class JealousOutbox(MemoryOutbox):
    """Lets a gateway that says hello be ahead a little, and nothing go that was never sent."""

    def __init__(self) -> None:
        super().__init__(ends.EPOCH)
        self.sent = [0] * 4

    def read(self, stream: int, seq: int) -> bytes | None:
        self.sent[stream] = max(self.sent[stream], seq + 1)
        return super().read(stream, seq)

    def acknowledged(self, stream: int, next: int) -> None:  # noqa: A002
        if next > self.next(stream) + 65536:
            raise FindingError("the sequence numbers were used up")
        super().acknowledged(stream, next)


def rogue_gateway(dice: random.Random, note: Note) -> None:
    """A gateway that holds the node's key and says what it likes."""
    outbox = JealousOutbox()
    greeting = Greeting(1, 1, "fuzzed")
    slots = Slots(dice, refusals=0.1)
    node = NodeSession(ends.EUI, slots.keys, outbox, dice.randbytes, greeting, b"descriptor")
    hello, cipher = b"", None
    now_ms = 0
    for _ in range(80):
        now_ms += dice.choice((0, 1, 10, 300, 1100))
        for _ in range(dice.choice((0, 0, 0, 1, 1, 20))):
            outbox.append(dice.randrange(4), b"item")
        for data in _spoken(node, now_ms):
            if frame.parse_header(data).kind == frame.HELLO:
                hello, cipher = data, None
        if cipher is None:
            answer, cipher = _bent_welcome(dice, hello, slots)
        else:
            answer = _rogue_answer(dice, cipher, now_ms, outbox, slots)
        opened = node.state == OPEN
        before = [outbox.first(stream) for stream in range(4)]
        _take(dice, node, note(answer), now_ms)
        _check_released(node, outbox, before, opened=opened)
        slots.check()
        if cipher is not None and node._cipher is None:
            cipher = None
    if cipher is not None and dice.random() < 0.5:
        node.receive(note(_parting_key(dice, cipher, slots)), now_ms)
    _serve_honestly(dice, node, slots, now_ms)


def _take(dice: random.Random, node: NodeSession, data: bytes, now_ms: int) -> None:
    """Let the node do what it is asked for, or leave it undone."""
    for event in node.receive(data, now_ms):
        if isinstance(event, Requested) and dice.random() < 0.7:
            node.respond(event.number, dice.randrange(5), dice.randbytes(dice.randrange(961)))


def _check_released(
    node: NodeSession, outbox: JealousOutbox, before: list[int], *, opened: bool
) -> None:
    for stream in range(4):
        first = outbox.first(stream)
        if opened and first > max(before[stream], outbox.sent[stream]):
            raise FindingError("let go of what was never sent")
    if len(node._clock._samples) > 4 or node._events:
        raise FindingError("the node holds too much")


def _spoken(node: NodeSession, now_ms: int) -> list[bytes]:
    said = []
    while (data := node.poll(now_ms)) is not None:
        wrap(data)
        said.append(data)
        if len(said) > MOST_AT_ONCE:
            raise FindingError("a node that never stops talking")
    if not 0 <= node.due_ms(now_ms) <= 60000:
        raise FindingError("a node that sleeps too long")
    node.events()
    return said


def _bent_welcome(dice: random.Random, hello: bytes, slots: Slots) -> tuple[bytes, FrameCipher]:
    """A WELCOME under the key that the node has chosen: the rogue knows all it has given."""
    known = (ends.KEY, *sorted(slots.told))
    key = handshake.open_hello_of(hello, known).key
    head = handshake.welcome_header() + handshake.welcome_clear(dice.randbytes(8))
    cipher = handshake.session_cipher(key, hello, head, node=False)
    after = [dice.choice((0, 0, 0, dice.choice(NUMBERS))) for _ in range(4)]
    plaintext = bent(dice, [dice.choice((None, 1000, *NUMBERS)), True, after])
    clear = head[frame.HEADER_BYTES :]
    return cipher.seal(frame.WELCOME, plaintext, clear=clear), cipher


def _rogue_answer(
    dice: random.Random, cipher: FrameCipher, now_ms: int, outbox: MemoryOutbox, slots: Slots
) -> bytes:
    if dice.random() < 0.15:
        return _rogue_request(dice, cipher, slots)
    kind = dice.choice((frame.ACK, frame.ACK, frame.ACK, frame.TIME, *KINDS))
    stream = dice.randrange(4)
    near = outbox.first(stream) + dice.randrange(-1, 20)
    window = dice.choice((0, 1, 8, 16, 255))
    fields = {
        frame.ACK: [stream, dice.choice((max(0, near), *NUMBERS)), dice.randrange(65536), window],
        frame.TIME: [now_ms, dice.choice(NUMBERS)],
    }
    plaintext = bent(dice, fields.get(kind, [absurd(dice)]))
    return sealed(cipher, kind, plaintext, counter_of(dice, cipher), dice.randrange(4))


def _rogue_request(dice: random.Random, cipher: FrameCipher, slots: Slots) -> bytes:
    """A REQUEST, mostly a REKEY; a key in it counts as given only if it is a sound one."""
    key = dice.randbytes(dice.choice((16, 16, 16, 16, 0, 15, 17, 960)))
    key = dice.choice((key, key, key, slots.keys.current, slots.keys.next or key))
    method = dice.choice((request.REKEY, request.REKEY, 0, 9, 255))
    number = cipher.sent if dice.random() < 0.9 else dice.choice(NUMBERS[:10])
    plaintext = bent(dice, [number, method, key])
    try:
        said = request.parse_request(plaintext)
    except DecodeError:
        pass
    else:
        if said.method == request.REKEY and len(said.body) == 16:
            slots.told.add(said.body)
    return sealed(cipher, frame.REQUEST, plaintext, counter_of(dice, cipher), frame.CONTROL_STREAM)


def _parting_key(dice: random.Random, cipher: FrameCipher, slots: Slots) -> bytes:
    """A sound REKEY, so that the node is left between two keys."""
    key = dice.randbytes(16)
    slots.told.add(key)
    cipher.sent += 1
    plaintext = request.Request(cipher.sent, request.REKEY, key).pack()
    return sealed(cipher, frame.REQUEST, plaintext, cipher.sent, frame.CONTROL_STREAM)


def _serve_honestly(dice: random.Random, node: NodeSession, slots: Slots, now_ms: int) -> None:
    """After a rogue has left, an honest gateway gets what the node still has.

    It knows one of the node's keys, or both.
    """
    held = [key for key in (slots.keys.current, slots.keys.next) if key is not None]
    gateway = Gateway(dice, {}, None, dice.choice((held[:1], held[-1:], held)))
    newest = gateway.keys[-1]
    slots.told.add(newest)
    for end_ms in range(now_ms, now_ms + 120_000, 20):
        for data in _spoken(node, end_ms):
            gateway.receive(data, end_ms)
        while (data := gateway.poll(end_ms)) is not None:
            node.receive(data, end_ms)
        slots.check()
        if (
            node.state == OPEN
            and node.idle
            and gateway.session.key == slots.keys.current == newest
        ):
            return
    raise FindingError("an honest gateway is not served")
