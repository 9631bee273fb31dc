"""The line between a virtual node and its radio, which is in the process that started it.

A frame is `<u16 length of the body> <u8 kind> <u8 connection>` and the body, little endian. Both
ends know the kinds: lilong_tools.radio.frames describes them.
"""

import _thread
import select
import struct
import sys
import time

import micropython
from micropython import const
from waking import Bell

_AT_ONCE = const(16)
"""Frames taken before the program goes on."""
_FAREWELL = const(12)
_PATIENCE = const(2000)
_SHORT_MS = const(5)


class Bridge:
    """Frames out, from anywhere; frames in, in the scheduler, as interrupts of the program.

    A thread only waits for them. MicroPython 1.25 or newer: an older one might run in that thread
    what is scheduled.
    """

    def __init__(self, descriptor: int, bell: Bell, take: "object") -> None:
        self._file = open(descriptor, "r+b")  # noqa: SIM115 - open as long as the node runs
        self._bell = bell
        self._take = take
        self._head = bytearray(4)
        self._inbox = self._poll()
        self._pumped = _thread.allocate_lock()
        self._open = True
        self._listening = False

    def start(self) -> None:
        """Begin to listen, until the program ends."""
        self._pumped.acquire()
        self._listening = True
        _thread.start_new_thread(self._listen, ())
        sys.atexit(self._leave)

    def send(self, kind: int, connection: int = 0, body: bytes = b"") -> None:
        """Send one frame; OSError when the radio is gone."""
        self._file.write(struct.pack("<HBB", len(body), kind, connection) + body)

    def _poll(self) -> "select.poll":
        poll = select.poll()
        poll.register(self._file, select.POLLIN)
        return poll

    def _listen(self) -> None:
        arrivals = self._poll()
        pump = self._pump
        while self._open:
            arrivals.poll()
            if not self._open:
                break
            try:
                micropython.schedule(pump, None)
            except RuntimeError:
                time.sleep_ms(1)
                continue
            self._bell.ring()
            self._pumped.acquire()
        self._listening = False

    def _leave(self) -> None:
        """Let the thread end: MicroPython would cancel it, which not every libc can."""
        self._open = False
        try:
            self.send(_FAREWELL)
        except OSError:
            pass
        for _ in range(_PATIENCE):
            time.sleep_ms(_SHORT_MS)
            if not self._listening:
                break

    def _pump(self, _nothing: None) -> None:
        try:
            for _ in range(_AT_ONCE):
                if not self._open or not self._inbox.poll(0):
                    break
                self._receive()
        finally:
            self._pumped.__exit__(None, None, None)

    def _receive(self) -> None:
        if self._file.readinto(self._head) < len(self._head):
            self._open = False
            return
        size, kind, connection = struct.unpack("<HBB", self._head)
        self._take(kind, connection, self._file.read(size))
