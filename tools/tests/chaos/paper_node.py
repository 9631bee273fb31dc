"""A node on paper: the protocol's own session, a journal that outlives its deaths, exact notes."""

import asyncio
import os
import time
from dataclasses import dataclass
from decimal import Decimal

from lines import PtyLine, TcpLine

from lilong_protocol.blocks import encode_series, encode_single, encode_table
from lilong_protocol.descriptor import Channel, encode_descriptor
from lilong_protocol.greeting import Greeting
from lilong_protocol.memory_outbox import MemoryOutbox
from lilong_protocol.node_events import Requested, Synchronised
from lilong_protocol.node_keys import NodeKeys
from lilong_protocol.node_session import OPEN, NodeSession
from lilong_protocol.request import UNKNOWN
from lilong_protocol.serial import FrameReader, wrap

ALARM, CONTROL, DATA, BULK = range(4)
STREAMS = (ALARM, CONTROL, DATA, BULK)
UNIX_2000_MS = 946_684_800_000
CHANNELS = (
    Channel(0, "level", "m", -3, -3, 0, "water level"),
    Channel(1, "temperature", "Cel", -2, -3, 0, "air temperature"),
    Channel(2, "visitors", "", 0, 0, 1, "people counted"),
)
_SHARES = ((ALARM, 2), (CONTROL, 1), (DATA, 12), (BULK, 1))


@dataclass(frozen=True)
class Measured:
    """One batch as its node measured it: boot None for absolute times, else ms of uptime."""

    item: bytes
    boot: int | None
    times: tuple
    time_exponent: int
    columns: tuple

    def readings(self, shift):
        """Every (name, unit, time + shift, value), times in seconds since 2000 or since boot."""
        unit = Decimal(1).scaleb(-3 if self.boot is not None else self.time_exponent)
        return sorted(
            (channel.name, channel.unit, time_ * unit + shift, Decimal(v).scaleb(channel.exponent))
            for channel, values in self.columns
            for time_, v in zip(self.times, values, strict=True)
        )


class PaperNode:
    """Says batches at a pace; `made` is what it measured, its journal's `first` what was taken."""

    def __init__(self, eui, key, path, dice):
        self.eui = eui
        self.key = key
        self.made = {}
        self.epochs = {}
        """By boot: ms since 2000 at uptime 0 as the node was told it, and how exactly."""
        self.began_ms = {}
        """By boot: the true UNIX time of uptime 0, in ms."""
        self.journal = MemoryOutbox(dice.randrange(1 << 32))
        self.alive = False
        self._keys = NodeKeys(key)
        self._dice = dice
        self._boot = dice.randrange(1000)
        self._timer = None
        self._session = None
        self.line = (
            TcpLine(self._hear, self._turn)
            if path is None
            else PtyLine(path, self._hear, self._turn)
        )

    @property
    def drained(self):
        """Whether a gateway has everything, and serves this node."""
        return self.alive and self._session.state == OPEN and not self.waiting

    @property
    def waiting(self):
        return sum(self.journal.next(stream) - self.journal.first(stream) for stream in STREAMS)

    def acknowledged(self):
        """The numbers of all batches that were acknowledged, as (stream, seq)."""
        return {(stream, seq) for stream, seq in self.made if seq < self.journal.first(stream)}

    def start(self):
        """Boot."""
        self._boot += 1
        self.began_ms[self._boot] = time.time_ns() // 1_000_000
        self._began_s = time.monotonic()
        self._reader = FrameReader()
        self._session = NodeSession(
            self.eui,
            self._keys,
            self.journal,
            os.urandom,
            Greeting(self._boot, 0, "paper 1"),
            encode_descriptor(1, CHANNELS),
        )
        self.alive = True
        self.line.plug()
        self._turn()

    def die(self):
        """Lose everything but the journal."""
        self.alive = False
        self.line.forget()
        if self._timer is not None:
            self._timer.cancel()

    def close(self):
        self.die()
        self.line.unplug()

    def say(self):
        """Measure and keep one more batch; a dead node measures nothing."""
        if not self.alive:
            return
        names, weights = zip(*_SHARES, strict=True)
        stream = self._dice.choices(names, weights)[0]
        measured = self._measure()
        self.made[stream, self.journal.append(stream, measured.item)] = measured
        self._turn()

    def _measure(self):
        dice = self._dice
        boot = self._boot if dice.random() < 0.5 else None
        chosen = dice.choice(((0,), (0,), (1,), (2,), (0, 1)))
        channels = [CHANNELS[number] for number in chosen]
        count = dice.choice((1, 2, 5, 12)) if len(chosen) == 1 else dice.randrange(2, 9)
        exponent = channels[0].time_exponent
        times = self._times(boot, exponent, count)
        columns = [
            (number, [dice.randrange(-(10**6), 10**6) for _ in range(count)]) for number in chosen
        ]
        number, values = columns[0]
        if len(columns) > 1:
            item = encode_table(times, columns, boot)
        elif count > 1:
            item = encode_series(number, times, values, boot)
        else:
            item = encode_single(number, times[0], values[0], boot)
        named = tuple((CHANNELS[number], tuple(values)) for number, values in columns)
        return Measured(item, boot, tuple(times), exponent, named)

    def _times(self, boot, exponent, count):
        """Return times up to now, and as dense as they can be."""
        if boot is not None:
            last, step = self._now_ms(), 1
        else:
            last = time.time_ns() // 1_000_000 - UNIX_2000_MS
            last, step = (last // 1000, 1) if exponent == 0 else (last, 7)
        return [max(0, last - step * index) for index in reversed(range(count))]

    def _hear(self, data):
        if not self.alive:
            return
        for frame in self._reader.feed(data):
            self._note(self._session.receive(frame, self._now_ms()))
        self._turn()

    def _turn(self):
        if not self.alive:
            return
        session, now_ms = self._session, self._now_ms()
        while self.line.room:
            frame = session.poll(now_ms)
            if frame is None:
                break
            self.line.write(wrap(frame))
        self._note(session.events())
        if self._timer is not None:
            self._timer.cancel()
        wait_s = max(3, session.due_ms(now_ms)) / 1000 if self.line.room else 0.2
        self._timer = asyncio.get_running_loop().call_later(wait_s, self._turn)

    def _note(self, events):
        for event in events:
            if isinstance(event, Requested):
                self._session.respond(event.number, UNKNOWN)
            elif isinstance(event, Synchronised) and event.first:
                self.epochs[self._boot] = (event.epoch_ms_at_boot, event.uncertainty_ms)

    def _now_ms(self):
        return int((time.monotonic() - self._began_s) * 1000)
