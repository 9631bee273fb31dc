"""Stored batches -> what a sink may see of them: after the privacy filter and its own."""

from dataclasses import dataclass
from typing import NamedTuple

from lilong_gateway import senml
from lilong_gateway.privacy import Privacy
from lilong_gateway.selection import Selection
from lilong_gateway.store.records import Row
from lilong_protocol.blocks import Block, decode_block
from lilong_protocol.descriptor import Channel, decode_descriptor
from lilong_protocol.errors import DecodeError

_SCOPES_KEPT = 1024
"""One a node; a gateway has some dozens of nodes."""


@dataclass(slots=True)
class Counters:
    """Batches of which nothing was published, by reason; filtered: the sink does not want them."""

    withheld: int = 0
    undescribed: int = 0
    undecodable: int = 0
    undatable: int = 0
    filtered: int = 0


class _Scope(NamedTuple):
    """What a node's batches may show: channels by number, and those the sink does not want."""

    shown: dict[int, Channel]
    unwanted: frozenset[int]
    channels: tuple[Channel, ...]


class Renderer:
    """Decodes rows for one sink. Used by one task."""

    def __init__(self, privacy: Privacy, selection: Selection | None = None) -> None:
        self.counters = Counters()
        self._privacy = privacy
        self._selection = selection or Selection()
        self._scopes: dict[tuple[bytes, bytes], _Scope] = {}

    def telemetry(self, row: Row, store_id: str, *, late: bool = False) -> senml.Telemetry | None:
        """Return what may go of a batch; None, counted, when nothing of it may or can.

        late: it is sent out of a backlog.
        """
        if not self._selection.takes(row.slot.eui, row.slot.stream):
            self.counters.filtered += 1
            return None
        if row.item and row.descriptor is None:
            self.counters.undescribed += 1
            return None
        try:
            scope = self._scope(row.slot.eui, row.descriptor or b"")
            block = decode_block(row.item)
        except DecodeError:
            self.counters.undecodable += 1
            return None
        columns = self._columns(block, scope)
        if not columns:
            return None
        telemetry = _telemetry(row, store_id, block.times, columns, scope.channels, late=late)
        if not senml.is_datable(telemetry):
            self.counters.undatable += 1
            return None
        return telemetry

    def _columns(self, block: Block, scope: _Scope) -> list[senml.Column]:
        shown = scope.shown
        columns = [
            senml.Column(shown[number], values)
            for number, values in block.columns
            if number in shown
        ]
        if not columns:
            if any(number in scope.unwanted for number, _ in block.columns):
                self.counters.filtered += 1
            else:
                self.counters.withheld += 1
        return columns

    def _scope(self, eui: bytes, descriptor: bytes) -> _Scope:
        scope = self._scopes.get((eui, descriptor))
        if scope is None:
            if len(self._scopes) >= _SCOPES_KEPT:
                self._scopes.clear()
            scope = self._scopes[eui, descriptor] = self._decide(eui, descriptor)
        return scope

    def _decide(self, eui: bytes, descriptor: bytes) -> _Scope:
        _, described = decode_descriptor(descriptor)
        allowed = [channel for channel in described if self._privacy.allows(eui, channel)]
        channels = tuple(
            channel for channel in allowed if self._selection.takes_channel(channel.name)
        )
        shown = {channel.number: channel for channel in channels}
        unwanted = frozenset(channel.number for channel in allowed) - shown.keys()
        return _Scope(shown, unwanted, channels)


def _telemetry(
    row: Row,
    store_id: str,
    times: list[int],
    columns: list[senml.Column],
    channels: tuple[Channel, ...],
    *,
    late: bool,
) -> senml.Telemetry:
    times, exponent = senml.unix_times(times, row.offset_ms, columns[0].channel.time_exponent)
    slot = row.slot
    return senml.Telemetry(
        eui=slot.eui,
        batch=f"{slot.epoch:08x}.{slot.stream}.{slot.seq}",
        store=store_id,
        pos=row.pos,
        quality=row.quality,
        times=times,
        time_exponent=exponent,
        columns=columns,
        stream=slot.stream,
        one_in=row.one_in,
        late=late,
        channels=channels,
    )
