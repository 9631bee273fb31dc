"""Alarms as events: one JSON message for each batch of the alarm stream; others give none.

A node tells a change as batches of one reading each: first the state of the rule (1 raised,
0 cleared), a whole number without a unit, then the reading that decided, then the states of its
outputs (2: the pin fails). What looks like such a state gives an event of kind "alarm", anything
else one of kind "evidence". The same batch gives the same event whenever it is sent.
"""

from collections.abc import Iterator, Sequence

from lilong_gateway.senml import Exact, Telemetry
from lilong_gateway.uplink.formats import json_text
from lilong_gateway.uplink.formats.canonical import health
from lilong_gateway.uplink.formats.deaf import Deaf
from lilong_gateway.uplink.formats.moments import value_at
from lilong_gateway.uplink.message import Figures, Message
from lilong_protocol.descriptor import Channel

VERSION = 1
_ALARMS = 0
_BATCHES = 64
_STATES = ("cleared", "raised", "fault")

_Reading = tuple[Channel, Exact, Exact]
"""Of which channel, its value, and when."""


class Events(Deaf):
    """The format event+json; topic ends with the site and the gateway."""

    batch_limit = _BATCHES

    def __init__(self, topic: str) -> None:
        self.status_topic: str | None = f"{topic}/status"
        self._topic = topic
        self._site, self._gateway = topic.split("/")[-2:]

    def messages(self, batches: Sequence[Telemetry]) -> Sequence[Message]:
        """Return one message for each batch of the alarm stream."""
        return [
            Message(
                f"{self._topic}/event/{batch.eui.hex()}",
                json_text.encode(self._event(batch)),
                json_text.TYPE,
            )
            for batch in batches
            if batch.stream == _ALARMS
        ]

    def health(self, figures: Figures, unix_ms: int) -> Sequence[Message]:
        """Return the gateway's state, retained."""
        return [health(self._topic, figures, unix_ms)]

    def _event(self, batch: Telemetry) -> dict[str, object]:
        readings = list(_readings(batch))
        states = [reading for reading in readings if _is_state(*reading)]
        channel, value, time = (states or readings)[-1]
        node = batch.eui.hex()
        event: dict[str, object] = {
            "version": VERSION,
            "kind": "alarm" if states else "evidence",
            "id": f"{node}.{batch.batch}",
            "site": self._site,
            "gateway": self._gateway,
            "node": node,
            "channel": channel.name,
        }
        if states:
            event["state"] = _STATES[value.digits]
        event |= {"time": time, "tq": batch.quality, "readings": [_told(*r) for r in readings]}
        event |= {"batch": batch.batch, "store": batch.store, "pos": batch.pos}
        return event | ({"late": True} if batch.late else {})


def _readings(batch: Telemetry) -> Iterator[_Reading]:
    for index in sorted(range(len(batch.times)), key=batch.times.__getitem__):
        time = Exact(batch.times[index], batch.time_exponent)
        for column in batch.columns:
            yield column.channel, value_at(column, index), time


def _is_state(channel: Channel, value: Exact, _time: Exact) -> bool:
    return not channel.unit and value.exponent == 0 and 0 <= value.digits < len(_STATES)


def _told(channel: Channel, value: Exact, time: Exact) -> dict[str, object]:
    unit = {"unit": channel.unit} if channel.unit else {}
    return {"channel": channel.name, "value": value, **unit, "time": time}
