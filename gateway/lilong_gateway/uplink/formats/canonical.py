"""The project's own format: SenML packs (RFC 8428), one batch a message or, of a backlog, many.

A message of many is one pack in which each batch begins with a record that gives all base fields
anew; bu and bv are never used, so that none can hold on into the next batch.
"""

from collections.abc import Sequence

from lilong_gateway import senml
from lilong_gateway.senml import Telemetry
from lilong_gateway.uplink.formats import json_text
from lilong_gateway.uplink.formats.deaf import Deaf
from lilong_gateway.uplink.message import Figures, Message

_BATCHES = 200
_BYTES = 48 * 1024
_HEAD_BYTES = 5
"""The longest head of an array: of CBOR with 32 bits of length."""


class Canonical(Deaf):
    """The formats senml+cbor and senml+json."""

    batch_limit = _BATCHES

    def __init__(self, topic: str, form: str) -> None:
        self.status_topic: str | None = f"{topic}/status"
        self._topic = topic
        self._type = senml.TYPES[form]
        self._write = senml.writer(form)
        self._join = _join_cbor if form == "senml+cbor" else _join_json

    def messages(self, batches: Sequence[Telemetry]) -> Sequence[Message]:
        """Return one message of a single batch, or as few as hold them all, in order."""
        found: list[Message] = []
        group: list[tuple[Telemetry, bytes]] = []
        size = _HEAD_BYTES
        for batch in batches:
            payload = self._write(batch)
            if group and (size + len(payload) > _BYTES or len(group) == _BATCHES):
                found.append(self._message(group))
                group, size = [], _HEAD_BYTES
            group.append((batch, payload))
            size += len(payload)
        return [*found, self._message(group)] if group else found

    def health(self, figures: Figures, unix_ms: int) -> Sequence[Message]:
        """Return the gateway's state, retained."""
        return [health(self._topic, figures, unix_ms)]

    def _message(self, group: list[tuple[Telemetry, bytes]]) -> Message:
        if len(group) == 1:
            batch, payload = group[0]
            return Message(f"{self._topic}/telemetry/{batch.eui.hex()}", payload, self._type)
        return Message(f"{self._topic}/telemetry/many", self._join(group), self._type)


def health(topic: str, figures: Figures, unix_ms: int) -> Message:
    """Return the canonical message of a gateway's state."""
    state = {"time": senml.Exact(unix_ms, -3)} | json_text.finite(figures)
    return Message(f"{topic}/health", json_text.encode(state), json_text.TYPE, retain=True)


def _join_json(group: Sequence[tuple[Telemetry, bytes]]) -> bytes:
    return b"[" + b",".join(payload[1:-1] for _, payload in group) + b"]"


def _join_cbor(group: Sequence[tuple[Telemetry, bytes]]) -> bytes:
    counts = [len(batch.times) * len(batch.columns) for batch, _ in group]
    bodies = (
        payload[len(senml.array_head(count)) :]
        for count, (_, payload) in zip(counts, group, strict=True)
    )
    return senml.array_head(sum(counts)) + b"".join(bodies)
