"""Home Assistant by MQTT: devices that it discovers, and the newest values only.

www.home-assistant.io/integrations/mqtt: one retained message tells of a device and all its
entities; it is sent again when Home Assistant says "online".
A value has no time of its own there. So none is sent that is older than what this gateway showed
before, and one out of a backlog only where it showed something before.
"""

from collections.abc import Iterator, Sequence

from lilong_gateway.senml import Telemetry, digits
from lilong_gateway.uplink.formats import json_text
from lilong_gateway.uplink.formats.canonical import health
from lilong_gateway.uplink.formats.discovery import Discovery
from lilong_gateway.uplink.formats.moments import milliseconds, moments
from lilong_gateway.uplink.message import Figures, Message
from lilong_protocol.descriptor import Channel

_BATCHES = 64
_ONLINE = b"online"
_BIRTH = "homeassistant/status"
"""Where Home Assistant announces itself unless it is told otherwise."""

_Channels = dict[str, Channel]


class HomeAssistant:
    """The format homeassistant; prefix is where it looks for what is to be discovered."""

    batch_limit = _BATCHES

    def __init__(self, topic: str, prefix: str) -> None:
        self.status_topic: str | None = f"{topic}/status"
        self._topic = topic
        self._subscriptions = list(dict.fromkeys((_BIRTH, f"{prefix}/status")))
        self._discovery = Discovery(topic, prefix)
        self._nodes: dict[bytes, _Channels] = {}
        self._figures: dict[str, bool] = {}
        self._told: set[bytes] = set()
        self._gateway_told = False
        self._shown_ms: dict[tuple[bytes, str], int] = {}

    def subscriptions(self) -> Sequence[str]:
        """Return where Home Assistant says that it starts."""
        return self._subscriptions

    def begin(self) -> Sequence[Message]:
        """Nothing; what was told of is told again with its next values."""
        self._told.clear()
        self._gateway_told = False
        return ()

    def heard(self, topic: str, payload: bytes) -> Sequence[Message]:
        """Return all that there is to discover when Home Assistant has started."""
        if topic not in self._subscriptions or payload != _ONLINE:
            return ()
        gateway = [self._discovery.gateway(self._figures)] if self._figures else []
        nodes = (self._discovery.node(eui, own.values()) for eui, own in self._nodes.items())
        return [*gateway, *nodes]

    def messages(self, batches: Sequence[Telemetry]) -> Sequence[Message]:
        """Return what is new to discover, and the newest value of each channel."""
        found = [message for batch in batches for message in self._describe(batch)]
        newest: dict[tuple[bytes, str], bytes] = {}
        for batch in batches:
            newest |= self._fresh(batch)
        for (eui, name), value in newest.items():
            topic = self._discovery.state_topic(eui, name)
            found.append(Message(topic, value, json_text.TYPE))
        return found

    def health(self, figures: Figures, unix_ms: int) -> Sequence[Message]:
        """Return the gateway's state, for its diagnostic entities."""
        known = {
            name: isinstance(value, int | float) or self._figures.get(name, False)
            for name, value in figures.items()
        }
        found = []
        if not self._gateway_told or known != self._figures:
            self._figures = known
            self._gateway_told = True
            found.append(self._discovery.gateway(known))
        state = health(self._topic, figures, unix_ms)
        return [*found, Message(state.topic, state.payload, state.content_type)]

    def _describe(self, batch: Telemetry) -> Iterator[Message]:
        channels = batch.channels or [column.channel for column in batch.columns]
        known = self._nodes.get(batch.eui, {})
        now = known | {channel.name: channel for channel in channels}
        if batch.eui not in self._told or now != known:
            self._nodes[batch.eui] = now
            self._told.add(batch.eui)
            yield self._discovery.node(batch.eui, now.values())

    def _fresh(self, batch: Telemetry) -> dict[tuple[bytes, str], bytes]:
        """Return the values that may be shown, and note their times."""
        found = {}
        for time, values in moments(batch):
            unix_ms = milliseconds(time)
            for name, value in values.items():
                key = (batch.eui, name)
                before_ms = self._shown_ms.get(key)
                if before_ms is None and batch.late:
                    continue
                if before_ms is None or unix_ms >= before_ms:
                    self._shown_ms[key] = unix_ms
                    found[key] = digits(value).encode()
        return found
