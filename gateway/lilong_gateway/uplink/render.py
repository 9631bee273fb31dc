"""Stored batches -> what is published of them, after the privacy filter."""

from dataclasses import dataclass

from lilong_gateway import senml
from lilong_gateway.privacy import Privacy
from lilong_gateway.store.records import Row
from lilong_protocol.blocks import decode_block
from lilong_protocol.descriptor import Channel, decode_descriptor
from lilong_protocol.errors import DecodeError

_DESCRIPTORS_KEPT = 1024
"""Decoded descriptors in memory; a street has some dozens of kinds of node per gateway."""


@dataclass(slots=True)
class Counters:
    """Batches of which nothing was published, by reason."""

    withheld: int = 0
    undescribed: int = 0
    undecodable: int = 0
    undatable: int = 0


@dataclass(frozen=True, slots=True)
class Publication:
    """One message."""

    topic: str
    payload: bytes


class Renderer:
    """Turns rows into messages below topic, in a configured format."""

    def __init__(self, topic: str, form: str, privacy: Privacy) -> None:
        self.counters = Counters()
        self._topic = topic
        self._encode = senml.encoder(form)
        self._privacy = privacy
        self._described: dict[bytes, dict[int, Channel]] = {}

    def publication(self, row: Row, store_id: str) -> Publication | None:
        """Return the message of a batch; None, counted, when nothing of it may or can go."""
        if not row.item:
            self.counters.undecodable += 1
            return None
        if row.descriptor is None:
            self.counters.undescribed += 1
            return None
        try:
            telemetry = self._telemetry(row, self._channels(row.descriptor), store_id)
        except DecodeError:
            self.counters.undecodable += 1
            return None
        if telemetry is None:
            self.counters.withheld += 1
            return None
        if not senml.is_datable(telemetry):
            self.counters.undatable += 1
            return None
        payload = self._encode(senml.records(telemetry))
        return Publication(f"{self._topic}/telemetry/{row.slot.eui.hex()}", payload)

    def _telemetry(
        self, row: Row, channels: dict[int, Channel], store_id: str
    ) -> senml.Telemetry | None:
        block = decode_block(row.item)
        columns = [
            senml.Column(channels[number], values)
            for number, values in block.columns
            if self._privacy.allows(row.slot.eui, channels.get(number))
        ]
        if not columns:
            return None
        exponent = columns[0].channel.time_exponent
        times, exponent = senml.unix_times(block.times, row.offset_ms, exponent)
        slot = row.slot
        batch = f"{slot.epoch:08x}.{slot.stream}.{slot.seq}"
        return senml.Telemetry(
            slot.eui, batch, store_id, row.pos, row.quality, times, exponent, columns
        )

    def _channels(self, body: bytes) -> dict[int, Channel]:
        channels = self._described.get(body)
        if channels is None:
            if len(self._described) >= _DESCRIPTORS_KEPT:
                self._described.clear()
            _, found = decode_descriptor(body)
            channels = self._described[body] = {channel.number: channel for channel in found}
        return channels
