"""A radio whose air is this process, and a gateway on it; for whichever Python runs it."""

import asyncio
import os

from lilong_protocol.events import Advanced, BatchReceived, Described, HelloReceived
from lilong_protocol.gateway_session import GatewaySession
from lilong_protocol.pieces import PieceReader, PieceWriter

SENT, FULL, BROKEN = True, False, None


class LoopRadio:
    """Has the face of lilong_firmware.ble.radio.Radio; what happens on the air is said to it."""

    def __init__(self, keep=True):
        self.keep = keep
        self.lost = 0
        self.events = []
        self.values = []
        """(connection, value) of what was notified and is not fetched."""
        self.tried = []
        """All that was tried, for those who `keep` it."""
        self.answers = []
        """What the next notifications meet, instead of room."""
        self.present = set()
        self.deaf = False
        """Whether it ends no connection, and never says that one has ended."""
        self.refusing = False
        self.on_air = None
        self.said = []

    # The node's side

    async def wait(self, timeout_s):
        for _ in range(max(1, int(timeout_s * 1000))):
            if self.events:
                return
            await asyncio.sleep(0.001)

    def deliver(self, listener):
        while self.events:
            name, words = self.events.pop(0)
            getattr(listener, name)(*words)

    def notify(self, handle, value):
        assert type(value) is bytes
        assert value
        if self.keep:
            self.tried.append(value)
        answer = self.answers.pop(0) if self.answers else SENT
        if answer is SENT:
            self.values.append((handle, value))
        return answer

    def disconnect(self, handle):
        if handle not in self.present:
            return False
        if not self.deaf:
            self.drop(handle)
        return True

    def advertise(self, interval_ms, data, *, connectable):
        assert len(data) == 31
        return self._say((interval_ms, data, connectable))

    def silence(self):
        return self._say(None)

    def _say(self, what):
        if not self.refusing:
            self.on_air = what
            self.said.append(what)
        return not self.refusing

    # The other side

    def connect(self, handle):
        # What an earlier central of that handle did not fetch has gone with its connection.
        self.values = [(other, value) for other, value in self.values if other != handle]
        self.present.add(handle)
        if self.on_air is not None and self.on_air[2]:
            self.on_air = None
        self.events.append(("connected", (handle,)))

    def drop(self, handle):
        self.present.discard(handle)
        self.events.append(("disconnected", (handle,)))

    def resize(self, handle, mtu):
        self.events.append(("resized", (handle, mtu)))

    def write(self, handle, data):
        self.events.append(("written", (handle, data)))


class Central:
    """A gateway that visits, acknowledges, and keeps what it got."""

    def __init__(self, radio, key, handle=1, mtu=23):
        self.radio = radio
        self.handle = handle
        self.size = mtu - 3
        self.batches = []
        self.fullest = 0
        self.writer = PieceWriter()
        self.reader = PieceReader()
        self.session = GatewaySession(lambda _eui: [key], os.urandom)
        self.session.hint()
        radio.connect(handle)
        if mtu != 23:
            radio.resize(handle, mtu)

    def step(self, now_ms):
        """Take what was notified, answer it."""
        waiting, self.radio.values = self.radio.values, []
        for handle, value in waiting:
            assert handle == self.handle
            assert len(value) <= self.size
            self.fullest = max(self.fullest, len(value))
            for frame in self.reader.feed(value):
                for event in self.session.receive(frame, now_ms):
                    self.take(event, now_ms)
        while True:
            frame = self.session.poll(now_ms)
            if frame is None:
                break
            self.writer.put(frame)
        while self.writer.waiting:
            self.radio.write(self.handle, self.writer.take(self.size))

    def take(self, event, now_ms):
        if isinstance(event, HelloReceived):
            held = [self.next(event.hello.epoch, stream) for stream in range(4)]
            clock_ms = 848000000000 + now_ms
            self.session.accept(event.hello, held, clock_ms, now_ms, descriptor_known=False)
        elif isinstance(event, Described):
            self.session.described()
        elif isinstance(event, Advanced):
            self.session.advanced(event.epoch, event.stream, event.first)
        elif isinstance(event, BatchReceived):
            self.batches.append((event.epoch, event.stream, event.seq, event.item))
            self.session.stored(event.epoch, event.stream, event.seq)

    def next(self, epoch, stream):
        held = [seq for one, of, seq, _ in self.batches if (one, of) == (epoch, stream)]
        return max(held) + 1 if held else 0
