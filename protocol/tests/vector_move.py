"""The golden transcript of a node that moves to a new key while a batch is under way."""

from vector_session import EPOCH, KEY, TIME_MS, Session, held_in, told

from lilong_protocol import blocks, handshake
from lilong_protocol.memory_outbox import MemoryOutbox
from lilong_protocol.request import REKEY

NEXT_KEY = bytes.fromhex("d00dfeedc0ffee00112233445566778f")
REQUEST_AT_MS = 100
LATE = [2, 1]


class Move(Session):
    """A gateway that asks for the new key at 100 ms and stores one batch only after the move."""

    def __init__(self, outbox):
        super().__init__(outbox, True, TIME_MS, [0, 0, 0, 0], (KEY, NEXT_KEY))

    def _begin(self, moment_ms):
        if moment_ms == REQUEST_AT_MS:
            self.gateway.request(REKEY, NEXT_KEY)

    def _store(self, event):
        if [event.stream, event.seq] == LATE and self.gateway.key == KEY:
            return
        self.durable[event.stream] = event.seq + 1
        super()._store(event)

    def _key_of(self, hello):
        return handshake.open_hello_of(hello, (KEY, NEXT_KEY)).key


def rekey_session():
    outbox = MemoryOutbox(EPOCH)
    for row in range(2):
        outbox.append(2, blocks.encode_single(0, TIME_MS - 1000 + row, 4180 + row))
    held = held_in(outbox)
    move = Move(outbox).run([0, REQUEST_AT_MS, 400])
    return told(move, held, [0, 0, 0, 0]) | {
        "next_key": NEXT_KEY.hex(),
        "request_at_ms": REQUEST_AT_MS,
        "late": LATE,
        "sessions": move.sessions,
        "steps": move.steps,
    }
