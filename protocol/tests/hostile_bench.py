"""Peers that hold a node's key, and what the tests of hostile peers share."""

import check_session as bench

from lilong_protocol import cbor, frame, handshake
from lilong_protocol.description import descriptor_hash
from lilong_protocol.greeting import Greeting
from lilong_protocol.memory_outbox import MemoryOutbox
from lilong_protocol.node_keys import NodeKeys
from lilong_protocol.node_session import NodeSession
from lilong_protocol.serial import wrap

RESET = frame.Header(frame.RESET).pack()
COUNTS = [0, 0, 0, 0]
DESCRIPTOR = b"d"
DIGEST = descriptor_hash(DESCRIPTOR)


def filled(count: int, epoch: int = 9) -> MemoryOutbox:
    outbox = MemoryOutbox(epoch)
    for number in range(count):
        outbox.append(frame.DATA_STREAM, b"item" + bytes([number]))
    return outbox


def node_of_boot(boot_id: int, outbox: MemoryOutbox | None = None) -> NodeSession:
    greeting = Greeting(boot_id, 1, "check")
    random = bench.Random(boot_id)
    outbox = filled(1) if outbox is None else outbox
    return NodeSession(bench.EUI, NodeKeys(bench.KEY), outbox, random, greeting, b"descriptor")


def kinds(happened, kind: type) -> list:
    return [event for event in happened if isinstance(event, kind)]


def hello(first=COUNTS, after=COUNTS, firmware="x", boot=1, uptime=0, key=bench.KEY) -> bytes:
    said = handshake.Hello(bench.EUI, boot, 9, uptime, first, after, DIGEST, 1, firmware)
    return said.pack(key, bench.Random(boot + uptime)(8))


class RogueNode:
    """Holds the node's key and has opened a session."""

    def __init__(self, gateway, first=COUNTS, after=COUNTS) -> None:
        self.gateway = gateway
        said = hello(first, after)
        gateway.receive(said, 0)
        welcome = gateway.session.poll(0)
        head = handshake.welcome_head(welcome)
        self.cipher = handshake.session_cipher(bench.KEY, said, head, node=True)
        self.describe()

    def describe(self) -> None:
        self.say(frame.DESCRIBE, cbor.encode_sequence([1, None, 0, DIGEST, DESCRIPTOR]))

    def say(self, kind: int, plaintext: bytes, stream: int = 0) -> None:
        self.gateway.receive(self.cipher.seal(kind, plaintext, stream), 0)

    def heard(self) -> list[tuple[int, bytes]]:
        frames = []
        while (data := self.gateway.session.poll(0)) is not None:
            wrap(data)
            header = frame.parse_header(data)
            frames.append((header.kind, self.cipher.open(header, data)))
        return frames


class RogueGateway:
    """Holds the node's key and has answered its HELLO."""

    def __init__(self, node: NodeSession, after=COUNTS, time_ms=None) -> None:
        self.node = node
        head = handshake.welcome_header() + handshake.welcome_clear(bytes(8))
        self.cipher = handshake.session_cipher(bench.KEY, node.poll(0), head, node=False)
        plaintext = cbor.encode_sequence([time_ms, True, after])
        clear = head[frame.HEADER_BYTES :]
        self.happened = node.receive(self.cipher.seal(frame.WELCOME, plaintext, clear=clear), 0)

    def acknowledge(self, *fields: int, now_ms: int = 0):
        return self.node.receive(self.cipher.seal(frame.ACK, cbor.encode_sequence(fields)), now_ms)


def polled(node: NodeSession, now_ms: int) -> list[bytes]:
    said = []
    while (data := node.poll(now_ms)) is not None:
        said.append(data)
    return said
