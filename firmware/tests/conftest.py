"""A node as a process on a pseudo terminal, and the simplest gateway for it."""

import json
import os
import select
import signal
import subprocess
import time
import tty
from pathlib import Path

import pytest

from lilong_protocol.blocks import decode_block
from lilong_protocol.descriptor import decode_descriptor
from lilong_protocol.events import (
    Advanced,
    BatchReceived,
    Described,
    HelloReceived,
    Opened,
    Responded,
    Unanswered,
)
from lilong_protocol.gateway_session import GatewaySession
from lilong_protocol.serial import FrameReader, wrap

ROOT = Path(__file__).parents[2]
EUI = "0011223344556677"
KEY = bytes(range(16))
ASLEEP = 76
RESETS = {75: 2, ASLEEP: 4, -signal.SIGALRM: 3}
"""Exit status of a node that starts again, and the reset cause that it then reads."""


class Gateway:
    """Acknowledges and keeps every batch; its memory outlives the node's resets."""

    def __init__(self, terminal):
        self.batches = {}
        self.hellos = []
        self.given_up = {}
        self.descriptors = []
        self.damaged = 0
        self.keys = [KEY]
        self.responses = []
        self.turns = 0
        """Sessions that were opened, and requests that were left unanswered."""
        self.deaf_to = None
        """Text in the firmware's name of a node that gets no session."""
        self.clock_ms = 848_000_000_000
        """Its clock as the first session opened; it goes on from there."""
        self._opened_ms = None
        self._terminal = terminal
        self._frames = FrameReader()
        self._session = self._new_session()

    def _new_session(self):
        return GatewaySession(lambda _eui: self.keys, os.urandom)

    @property
    def key(self):
        """The key of the session in force."""
        return self._session.key

    def request(self, method, body):
        """Ask the node for something; False while that is not possible."""
        return self._session.request(method, body)

    def step(self, wait_s=0.02):
        """Take what the node says, answer it."""
        if select.select([self._terminal], [], [], wait_s)[0]:
            for frame in self._frames.feed(os.read(self._terminal, 4096)):
                for event in self._session.receive(frame, self._now_ms()):
                    self._take(event)
        while (frame := self._session.poll(self._now_ms())) is not None:
            os.write(self._terminal, wrap(frame))
        self.damaged = self._frames.damaged

    def readings(self, channel):
        """Return (boot, time, value) of a channel in the order of the batches."""
        return [
            (block.boot, moment, value)
            for key in sorted(self.batches)
            for block in [decode_block(self.batches[key])]
            for number, values in block.columns
            if number == channel
            for moment, value in zip(block.times, values, strict=True)
        ]

    def forget(self):
        """Lose the session, as a gateway does that starts again."""
        self._session = self._new_session()
        self._session.hint()

    def set_clock(self, clock_ms):
        """Let its clock show this now."""
        self.clock_ms, self._opened_ms = clock_ms, self._now_ms()

    def _take(self, event):
        if isinstance(event, HelloReceived):
            self.hellos.append(event.hello)
            if self.deaf_to is not None and self.deaf_to in event.hello.firmware:
                return
            held = [self._next(event.hello.epoch, stream) for stream in range(4)]
            now_ms = self._now_ms()
            self._opened_ms = now_ms if self._opened_ms is None else self._opened_ms
            clock_ms = self.clock_ms + now_ms - self._opened_ms
            self._session.accept(event.hello, held, clock_ms, now_ms, descriptor_known=False)
        elif isinstance(event, Described):
            self.descriptors.append(decode_descriptor(event.descriptor)[1])
            self._session.described()
        elif isinstance(event, Advanced):
            self.given_up[event.epoch, event.stream] = event.first
            self._session.advanced(event.epoch, event.stream, event.first)
        elif isinstance(event, BatchReceived):
            key = (event.epoch, event.stream, event.seq)
            assert self.batches.setdefault(key, event.item) == event.item
            self._session.stored(*key)
        elif isinstance(event, (Opened, Unanswered)):
            self.turns += 1
        elif isinstance(event, Responded):
            self.responses.append((event.method, event.code, event.payload))

    def _next(self, epoch, stream):
        seq = self.given_up.get((epoch, stream), 0)
        while (epoch, stream, seq) in self.batches:
            seq += 1
        return seq

    @staticmethod
    def _now_ms():
        return int(time.monotonic() * 1000)


class Bench:
    """A state folder, a line, and the node between them."""

    def __init__(self, folder, interpreter):
        self.folder = folder
        self.process = None
        self.output = ""
        self.modules = None
        self._interpreter = interpreter
        self._node_end, self._terminal = os.openpty()
        tty.setraw(self._terminal)
        os.set_blocking(self._node_end, False)
        self.gateway = Gateway(self._terminal)
        (folder / "key.bin").write_bytes(KEY)

    def settings(self, **settings):
        (self.folder / "settings.json").write_text(json.dumps({"eui": EUI, **settings}))

    def start(self, program=ROOT / "firmware" / "main.py", cause=1, heap="288wK", **more):
        firmware = ROOT / "firmware"
        shim = firmware / "lilong_firmware" / "virtual"
        modules = f"{shim}:.frozen:{ROOT / 'protocol'}:{firmware}"
        if self.modules is not None:
            place = self.folder / "m"
            if not place.is_symlink():
                place.symlink_to(self.modules)
            modules = "m:.frozen"
        environment = {
            **more,
            "MICROPYPATH": modules,
            "VNODE_UART": str(self._node_end),
            "VNODE_EUI": EUI,
            "VNODE_RESET_CAUSE": str(cause),
        }
        self.process = subprocess.Popen(
            [self._interpreter, "-X", f"heapsize={heap}", program],
            cwd=self.folder,
            env=environment,
            pass_fds=[self._node_end],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run_until(self, condition, limit_s=60.0):
        """Run the gateway until the condition holds; the node must not end before."""
        deadline = time.monotonic() + limit_s
        while not condition():
            assert time.monotonic() < deadline, self.trace()[-5:]
            assert self.process.poll() is None, self.process.stdout.read()
            self.gateway.step()

    def run_to_end(self, limit_s=60.0):
        """Run the gateway until the node ends by itself; return its exit status."""
        deadline = time.monotonic() + limit_s
        while self.process.poll() is None:
            assert time.monotonic() < deadline, self.trace()[-5:]
            self.gateway.step()
        return self._collect()

    def live_until(self, condition, limit_s=60.0, **how):
        """Run the gateway until the condition holds; the node starts again after each reset.

        A sleep lasts as long as the node has asked for; `how` is for `start`.
        """
        deadline = time.monotonic() + limit_s
        wake_s = 0.0
        while not condition():
            assert time.monotonic() < deadline, (self.trace()[-5:], self.output[-2000:])
            self.gateway.step()
            if self.process.poll() is None:
                continue
            if not self.process.stdout.closed:
                status = self._collect()
                assert status in RESETS, (status, self.output[-2000:])
                wake_s = time.monotonic() + (self._asked_s() if status == ASLEEP else 0)
            elif time.monotonic() >= wake_s:
                self.start(cause=RESETS[self.process.returncode], **how)

    def _asked_s(self):
        return int((self.folder / "deepsleep").read_text()) / 1000

    def stop(self):
        (self.folder / "stop").touch()
        return self.run_to_end()

    def wait(self):
        """Wait for the node's end without a gateway; return its exit status."""
        self.process.wait(timeout=60)
        return self._collect()

    def kill(self):
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if self.process is not None:
            self._collect()

    def close(self):
        self.kill()
        os.close(self._node_end)
        os.close(self._terminal)

    def trace(self):
        path = self.folder / "trace.log"
        return [line.split() for line in path.read_text().splitlines()] if path.exists() else []

    def lines(self, kind):
        return [words[1:] for words in self.trace() if words[0] == kind]

    def console(self):
        """Take and return what the node has printed since it started; it may still run."""
        pipe = self.process.stdout.fileno()
        while select.select([pipe], [], [], 0)[0] and (data := os.read(pipe, 4096)):
            self.output += data.decode()
        return self.output

    def _collect(self):
        if not self.process.stdout.closed:
            self.output += self.process.stdout.read()
            self.process.stdout.close()
        return self.process.returncode


@pytest.fixture
def bench(tmp_path, micropython32):
    bench = Bench(tmp_path, micropython32)
    yield bench
    bench.close()


@pytest.fixture
def bench64(tmp_path, micropython):
    bench = Bench(tmp_path, micropython)
    yield bench
    bench.close()
