"""Golden transcripts: a node and a gateway on one line, their randomness fixed."""

from vector_dice import Dice

from lilong_protocol import blocks, descriptor, frame, handshake, kdf, schedule
from lilong_protocol.cipher import GATEWAY_ID, NODE_ID, FrameCipher
from lilong_protocol.events import BatchReceived, Described, HelloReceived
from lilong_protocol.gateway_session import GatewaySession
from lilong_protocol.greeting import Greeting
from lilong_protocol.memory_outbox import MemoryOutbox
from lilong_protocol.node_keys import NodeKeys
from lilong_protocol.node_session import NodeSession

EUI = bytes.fromhex("02004c494c4f4e47")
KEY = bytes.fromhex("6b1f0c9ad2e5478396b0c1d2e3f40516")
TIME_MS = 848620800000  # 2026-11-22T00:00:00Z
BOOT_ID = 0x0000002A
EPOCH = 0x5EED0001
CHANNELS = [
    descriptor.Channel(0, "level", "m", -3, -3, 0, "water level"),
    descriptor.Channel(1, "temp", "Cel", -2, -3, 0, "water temperature"),
]
NAMES = {
    0: "HELLO",
    1: "WELCOME",
    2: "DATA",
    3: "ACK",
    5: "TIME",
    6: "REQUEST",
    7: "RESPONSE",
    10: "RESET",
    11: "DESCRIBE",
}
DELAY_MS = 2


class Session:
    """A node and a gateway on one line; steps holds what they said."""

    def __init__(self, outbox, descriptor_known, time_ms, durable, keys=(KEY,)):
        data = descriptor.encode_descriptor(1, CHANNELS)
        self.known, self.time_ms, self.durable = descriptor_known, time_ms, durable
        self.node_random, self.gateway_random = Dice(1), Dice(2)
        greeting = Greeting(BOOT_ID, 1, "lilong 0.1")
        self.node = NodeSession(EUI, NodeKeys(KEY), outbox, self.node_random, greeting, data)
        self.gateway = GatewaySession({EUI: keys}.get, self.gateway_random)
        self.sessions = []
        self.steps = []
        self.hello, self.salted = b"", None

    def run(self, moments):
        """Let both speak at each moment until neither has more to say."""
        for moment_ms in moments:
            now_ms, said = moment_ms, True
            self._begin(moment_ms)
            while said:
                count = len(self.steps)
                self._pass("node", self.node, now_ms)
                now_ms += DELAY_MS
                self._pass("gateway", self.gateway, now_ms)
                now_ms += DELAY_MS
                said = len(self.steps) > count
        return self

    def _begin(self, moment_ms):
        """Do what comes before anyone speaks at this moment."""

    def _pass(self, source, end, now_ms):
        sent = []
        while (data := end.poll(now_ms)) is not None:
            sent.append(data)
        for data in sent:
            self.steps.append({"at_ms": now_ms, "from": source, **self._opened(source, data)})
            if source == "gateway":
                self.node.receive(data, now_ms + DELAY_MS)
                continue
            for event in self.gateway.receive(data, now_ms + DELAY_MS):
                self._handle(event, now_ms + DELAY_MS)

    def _handle(self, event, now_ms):
        if isinstance(event, HelloReceived):
            self.gateway.accept(
                event.hello,
                self.durable,
                None if self.time_ms is None else self.time_ms + now_ms,
                now_ms,
                descriptor_known=self.known,
            )
        elif isinstance(event, Described):
            self.gateway.described()
        elif isinstance(event, BatchReceived):
            self._store(event)

    def _store(self, event):
        self.gateway.stored(event.epoch, event.stream, event.seq)

    def _opened(self, source, data):
        """Return the name of a frame, the frame and what it seals."""
        header = frame.parse_header(data)
        step = {"name": NAMES[header.kind], "frame": data.hex()}
        if header.kind == frame.HELLO:
            self.hello = data
            return step | {"plaintext": data[26:-8].hex()}
        clear = 0
        if header.kind == frame.WELCOME:
            clear = handshake.Welcome.CLEAR_BYTES
            head = handshake.welcome_head(data)
            key = self._key_of(self.hello)
            self.salted = (key, kdf.sha256(self.hello + head), self.hello[18:26] + head[9:])
            self.sessions.append(self.keys())
        ours, theirs = (NODE_ID, GATEWAY_ID) if source == "gateway" else (GATEWAY_ID, NODE_ID)
        plaintext = FrameCipher(*self.salted, ours, theirs).open(header, data, clear)
        return step | {"plaintext": plaintext.hex()}

    def _key_of(self, _hello):
        return KEY

    def keys(self):
        key, salt, context = self.salted

        def derived(identifier, label, length):
            return schedule.derive(key, salt, context, identifier, label, length).hex()

        return {
            "hello_key": kdf.hkdf(key, b"", b"lilong hello", 16).hex(),
            "salt": salt.hex(),
            "id_context": context.hex(),
            "node_key": derived(NODE_ID, "Key", 16),
            "gateway_key": derived(GATEWAY_ID, "Key", 16),
            "common_iv": derived(b"", "IV", 13),
        }


def made_session(outbox, moments, *, known=False, time_ms=TIME_MS, durable=(0, 0, 0, 0)):
    held = held_in(outbox)
    session = Session(outbox, known, time_ms, list(durable)).run(moments)
    return told(session, held, durable) | session.sessions[0] | {"steps": session.steps}


def held_in(outbox):
    """Return a row for each stream: its number, the first seq held, and the items."""
    return [
        [stream, outbox.first(stream)]
        + [
            outbox.read(stream, seq).hex()
            for seq in range(outbox.first(stream), outbox.next(stream))
        ]
        for stream in range(4)
    ]


def told(session, held, durable):
    """Return all that a transcript begins with."""
    return {
        "key": KEY.hex(),
        "eui": EUI.hex(),
        "boot_id": BOOT_ID,
        "reset_cause": 1,
        "firmware": "lilong 0.1",
        "epoch": EPOCH,
        "descriptor": descriptor.encode_descriptor(1, CHANNELS).hex(),
        "outbox": held,
        "node_random": session.node_random.drawn.hex(),
        "gateway_random": session.gateway_random.drawn.hex(),
        "gateway_time_ms_at_0": session.time_ms,
        "gateway_durable": list(durable),
        "gateway_knows_descriptor": session.known,
    }


def first_session():
    outbox = MemoryOutbox(EPOCH)
    outbox.append(0, blocks.encode_single(0, TIME_MS - 500, 4210))
    times = [TIME_MS - 60000 + 1000 * row for row in range(10)]
    values = [4180, 4181, 4183, 4182, 4186, 4190, 4189, 4195, 4201, 4210]
    outbox.append(2, blocks.encode_series(0, times, values))
    return made_session(outbox, [0, 300])


def resumed_session():
    outbox = MemoryOutbox(EPOCH)
    for row in range(6):
        uptimes = [1000 * row, 1000 * row + 500]
        columns_ = [(0, [4180, 4181]), (1, [1250, 1249 - row])]
        outbox.append(2, blocks.encode_table(uptimes, columns_, BOOT_ID))
    outbox.acknowledged(2, 3)
    return made_session(outbox, [9000, 9300], known=True, time_ms=None, durable=(0, 0, 5, 0))
