"""Peripherals that only seem to be nodes, or are nodes that have gone mad."""

import asyncio
import os
import random

from ble_node import BleNode
from bumble.core import BaseBumbleError


class Copycat(BleNode):
    """Advertises what another node does, and knows no key."""

    def __init__(self, air, name, victim, **options):
        super().__init__(air, name, victim.eui, bytes(16), **options)
        self.victim = victim

    def _told(self):
        return self.victim.advert

    def _seal(self):
        return self.victim.advert


class Misfit(BleNode):
    """A node whose firmware is another: its advertisements are good, its service is not."""

    service = "2ba2ffff-4c1d-4e7a-9d35-6c696c6f6e67"


class Mute(BleNode):
    """Takes everything and says nothing."""

    def _written(self, _connection, _value):
        return


class Babbler(BleNode):
    """Once it is spoken to, says what `utter` gives, as fast as the radio takes it."""

    def __init__(self, *words, utter, **options):
        super().__init__(*words, **options)
        self.utter = utter
        self.said_bytes = 0

    async def _send(self, connection):
        try:
            while self.connection is connection:
                value = self.utter()[: connection.att_mtu - 3]
                self.said_bytes += len(value)
                await self.device.notify_subscriber(connection, self.up, value)
                await asyncio.sleep(0)
        except BaseBumbleError:
            return


def noise():
    """Values without sense."""
    return os.urandom(random.randrange(1, 244))


def frames():
    """Whole frames of nobody."""
    size = random.randrange(8, 200)
    return bytes((0xC0, size)) + os.urandom(size)


class Hook:
    """Attaches to a node and spoils a share of the values that leave it."""

    def __init__(self, share, seed=1):
        self.share = share
        self.chance = random.Random(seed)
        self.spoilt = 0

    def __call__(self, value):
        if self.chance.random() >= self.share:
            return [value]
        self.spoilt += 1
        match self.chance.randrange(4):
            case 0:
                return []
            case 1:
                return [value[: self.chance.randrange(1, len(value) + 1)]]
            case 2:
                return [value, value]
            case _:
                at = self.chance.randrange(len(value))
                return [value[:at] + bytes((value[at] ^ 0x40,)) + value[at + 1 :]]
