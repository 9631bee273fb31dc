"""Gateways that are wrong on purpose: a campaign that does not find them is worth nothing.

What they send is spoilt between the gateway and the library that speaks MQTT.
"""

import asyncio
import os
import signal
import threading
import time
from itertools import count

import cbor2
from paho.mqtt.client import Client

from lilong_gateway.ingest import Ingest

_EVERY = 9
_NOWHERE = "chaos/nowhere"


def _tampered(tamper):
    """Let tamper(number, send, payload) send every pack of telemetry, and give what send gave."""
    publish = Client.publish
    numbers = count(1)

    def spoilt(self, topic, payload=None, *given, **named):
        def send(content, place=topic):
            return publish(self, place, content, *given, **named)

        is_pack = "/telemetry/" in str(topic)
        return tamper(next(numbers), send, payload) if is_pack else send(payload)

    Client.publish = spoilt


def _edited(payload, edit):
    pack = cbor2.loads(payload)
    edit(pack)
    return cbor2.dumps(pack)


def acknowledge_early():
    """Nodes are told that a batch is on disk before it has even been queued."""
    offer = Ingest.offer

    def early(self, entry, stored):
        asyncio.get_running_loop().call_later(0.3, offer, self, entry, lambda: None)
        stored()
        return True

    Ingest.offer = early


def drop():
    """One message in nine goes nowhere, and the broker acknowledges it."""
    _tampered(
        lambda number, send, payload: send(payload) if number % _EVERY else send(payload, _NOWHERE)
    )


def double():
    """One batch in nine also goes out under the name of another."""

    def rename(pack):
        epoch, stream, seq = pack[0]["batch"].split(".")
        pack[0]["batch"] = f"{epoch}.{stream}.{int(seq) + 1_000_000}"

    def tamper(number, send, payload):
        if number % _EVERY == 0:
            send(_edited(payload, rename))
        return send(payload)

    _tampered(tamper)


def alter():
    """One value in a message in nine is another one."""

    def shift(pack):
        pack[0][2] = 77

    _tampered(
        lambda number, send, payload: send(payload if number % _EVERY else _edited(payload, shift))
    )


def misdate():
    """One message in nine is a minute late."""

    def shift(pack):
        pack[0][-3] = pack[0][-3] + 60

    _tampered(
        lambda number, send, payload: send(payload if number % _EVERY else _edited(payload, shift))
    )


def disorder():
    """One message in nine leaves after others that are behind it."""

    def tamper(number, send, payload):
        if number % _EVERY == 0:
            asyncio.get_running_loop().call_later(0.4, send, payload)
            return send(payload, _NOWHERE)
        return send(payload)

    _tampered(tamper)


def hang():
    """The process goes to sleep for good after a moment, and does not die."""
    _after(1.5, signal.SIGSTOP)


def give_up():
    """The process never lives for long."""
    _after(0.8, signal.SIGKILL)


def _after(seconds, number):
    def act():
        time.sleep(seconds)
        os.kill(os.getpid(), number)

    threading.Thread(target=act, daemon=True).start()
