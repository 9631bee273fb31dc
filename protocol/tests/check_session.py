"""Two sessions wired together, on whichever Python runs it; prints one line and exits 0."""

import sys

from lilong_protocol import events, kdf, request
from lilong_protocol.gateway_session import GatewaySession
from lilong_protocol.greeting import Greeting
from lilong_protocol.memory_outbox import MemoryOutbox
from lilong_protocol.node_keys import NodeKeys
from lilong_protocol.node_session import OPEN, NodeSession

EUI = bytes(range(8))
KEY = bytes(range(16, 32))
NEXT_KEY = bytes(range(32, 48))
CENTURY_MS = 845000000000


class Random:
    """Repeatable bytes, a different sequence for each seed."""

    def __init__(self, seed):
        self.state = seed

    def __call__(self, count):
        out = bytearray()
        for _ in range(count):
            self.state = (self.state * 1103515245 + 12345) & 0x3FFFFFFF
            out.append(self.state >> 16 & 0xFF)
        return bytes(out)


class Gateway:
    """A gateway session whose store is a dictionary and whose disk is immediate."""

    def __init__(self, keys, seed=2, time_ms=CENTURY_MS):
        self.session = GatewaySession(keys.get, Random(seed))
        self.store = {}
        self.described = []
        self.seen = []
        self.time_ms = time_ms
        self.stores = True

    def receive(self, frame, now_ms):
        for event in self.session.receive(frame, now_ms):
            self.seen.append(event)
            self.take(event, now_ms)

    def durable(self, eui, epoch):
        position = [0, 0, 0, 0]
        for stream in range(4):
            while (eui, epoch, stream, position[stream]) in self.store:
                position[stream] += 1
        return position

    def take(self, event, now_ms):
        if isinstance(event, events.HelloReceived):
            hello = event.hello
            time_ms = None if self.time_ms is None else self.time_ms + now_ms
            known = hello.descriptor_hash in self.described
            durable = self.durable(hello.eui, hello.epoch)
            self.session.accept(hello, durable, time_ms, now_ms, descriptor_known=known)
        elif isinstance(event, events.Described):
            if event.descriptor is not None:
                self.described.append(event.descriptor_hash)
            self.session.described()
        elif isinstance(event, events.BatchReceived) and self.stores:
            key = (event.eui, event.epoch, event.stream, event.seq)
            if key in self.store:
                raise SystemExit("a batch was handed over twice: " + str(key))
            self.store[key] = event.item
            self.session.stored(event.epoch, event.stream, event.seq)
        elif isinstance(event, events.Advanced):
            self.session.advanced(event.epoch, event.stream, event.first)


def make_node(outbox, seed=1):
    greeting = Greeting(7, 1, "check")
    return NodeSession(EUI, NodeKeys(KEY), outbox, Random(seed), greeting, b"descriptor")


def exchange(node, gateway, start_ms, span_ms, lose=None):
    """Let both ends talk for span_ms of simulated time; lose(count) says what gets lost."""
    happened = []
    count = 0
    for now_ms in range(start_ms, start_ms + span_ms, 5):
        for source, sink in ((node, gateway), (gateway.session, node)):
            while True:
                frame = source.poll(now_ms)
                if frame is None:
                    break
                count += 1
                if lose is not None and lose(count):
                    continue
                result = sink.receive(frame, now_ms)
                if sink is node:
                    happened += result
        happened += node.events()
    return happened


def check(condition, text):
    if not condition:
        raise SystemExit("failed: " + text)


def check_delivery_with_loss():
    random = Random(99)
    outbox = MemoryOutbox(0xFEEDBEEF)
    for number in range(60):
        outbox.append(number % 4, b"\x00item" + bytes([number]))
    node = make_node(outbox)
    gateway = Gateway({EUI: [KEY]})
    exchange(node, gateway, 0, 60000, lambda _: random(1)[0] < 64)
    check(node.state == OPEN, "the session is open")
    check(len(gateway.store) == 60, "all batches arrived: " + str(len(gateway.store)))
    check(node.idle, "the node knows it")


def check_time():
    node = make_node(MemoryOutbox(1))
    happened = exchange(node, Gateway({EUI: [KEY]}), 0, 3000)
    times = [event for event in happened if isinstance(event, events.Synchronised)]
    check(times[0].first and not times[1].first, "the first one says so")
    check(times[0].epoch_ms_at_boot == CENTURY_MS, "the offset is right")


def said(node, gateway, now_ms):
    """Let both ends say all that they have to say now; return their frames."""
    text = b""
    for source, sink in ((node, gateway), (gateway.session, node)):
        frame = source.poll(now_ms)
        while frame is not None:
            text += frame
            for event in sink.receive(frame, now_ms) or ():
                if isinstance(event, events.Requested):
                    node.respond(event.number, request.UNKNOWN, b"no")
            frame = source.poll(now_ms)
    return text


def hexadecimal(octets):
    return "".join(["%02x" % octet for octet in octets])


def check_transcript():
    """The frames of a fixed exchange: both interpreters must agree on every byte."""
    outbox = MemoryOutbox(5)
    outbox.append(2, bytes([0, 1, 2, 3]))
    node = make_node(outbox)
    gateway = Gateway({EUI: [KEY]})
    text = b""
    for now_ms in range(0, 1000, 50):
        text += said(node, gateway, now_ms)
    return hexadecimal(kdf.sha256(text))


class Slots:
    """Saves keys; the flash refuses the second time."""

    def __init__(self):
        self.saved = []

    def save(self, current, following):
        self.saved.append((current, following))
        return len(self.saved) != 2


def check_rotation():
    """The frames by which a node moves to its next key, after a request that it does not know."""
    outbox = MemoryOutbox(6)
    for number in range(40):
        outbox.append(number % 4, b"\x00item" + bytes([number]))
    slots = Slots()
    keys = NodeKeys(KEY, None, slots.save)
    node = NodeSession(EUI, keys, outbox, Random(3), Greeting(8, 1, "check"), b"descriptor")
    gateway = Gateway({EUI: [KEY, NEXT_KEY]})
    text = b""
    for now_ms in range(0, 9000, 20):
        if now_ms == 1000:
            check(gateway.session.request(200, b"what"), "a request is sent")
        elif gateway.session.key == KEY and now_ms > 2000:
            gateway.session.request(request.REKEY, NEXT_KEY)
        text += said(node, gateway, now_ms)
    answers = [event for event in gateway.seen if isinstance(event, events.Responded)]
    codes = [event.code for event in answers]
    check(codes == [request.UNKNOWN, request.DONE, request.DONE], "the answers: " + str(codes))
    check(gateway.session.key == NEXT_KEY and node.state == OPEN, "the node is on its next key")
    following = (NEXT_KEY, None)
    check(slots.saved == [(KEY, NEXT_KEY), following, following], "what was saved")
    check(len(gateway.store) == 40 and node.idle, "the batches are stored")
    return hexadecimal(kdf.sha256(text))


def main():
    check_delivery_with_loss()
    check_time()
    print(check_transcript(), check_rotation())


if __name__ == "__main__":
    main()
    sys.exit(0)
