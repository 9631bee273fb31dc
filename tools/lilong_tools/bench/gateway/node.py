"""A node behind a TCP port in the place of a serial one: it sends when told, and takes times."""

import asyncio
import time
from collections import deque

from lilong_protocol import frame
from lilong_protocol.acknowledgement import MAX_WINDOW
from lilong_protocol.serial import FrameReader, wrap
from lilong_tools.bench.gateway.line import Line


class Node(asyncio.Protocol):
    """Says HELLO to the gateway that connects; is_open once a session is in force.

    acked_s holds, for each batch that was acknowledged, the seconds since it was due.
    """

    def __init__(self, line: Line) -> None:
        self.line = line
        self.is_open = False
        self.acked_s: list[float] = []
        self.last_s = 0.0
        """When the latest acknowledgement came."""
        self._reader = FrameReader()
        self._transport: asyncio.WriteTransport | None = None
        self._sealed: deque[bytes] = deque()
        self._due_s: deque[float] = deque()
        self._greeted = False
        self._acked = self._sent = self._asked = 0

    @property
    def is_done(self) -> bool:
        """Whether all that was due is acknowledged."""
        return not self._due_s

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait to be asked for a HELLO: what is said before is lost when the port is opened."""
        if isinstance(transport, asyncio.WriteTransport):
            self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Take what the gateway says."""
        for one in self._reader.feed(data):
            kind = frame.parse_header(one).kind
            if kind == frame.RESET and not self._greeted:
                self._write(wrap(self.line.opening, leading=True))
            elif kind == frame.WELCOME and not self._greeted:
                self._greeted = True
                self._write(wrap(self.line.answer(one)))
            for entry in self.line.acknowledged(one):
                self.is_open = True
                if entry.stream == frame.DATA_STREAM:
                    self._take(entry.next)

    def prepare(self, items: list[bytes]) -> None:
        """Seal batches that will be sent; once, with the session open."""
        self._sealed.extend(self.line.seal(seq, item) for seq, item in enumerate(items))

    def send(self, due_s: float) -> None:
        """Send the next batch, as soon as the window allows; it was due at that time."""
        self._due_s.append(due_s)
        self._asked += 1
        self._push()

    def _push(self) -> None:
        while self._sent < min(self._asked, self._acked + MAX_WINDOW):
            self._sent += 1
            self._write(self._sealed.popleft())

    def _take(self, next_seq: int) -> None:
        self.last_s = time.monotonic()
        while self._acked < next_seq:
            self._acked += 1
            self.acked_s.append(self.last_s - self._due_s.popleft())
        self._push()

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)
