"""Collects readings and seals them into items, the bytes of batches."""

from lilong_firmware.bucket import Bucket
from lilong_firmware.record import NOWHERE
from lilong_protocol.block_encoder import ITEM_LIMIT, encode_series, encode_single, encode_table
from lilong_protocol.errors import RangeError
from lilong_protocol.portable import TYPE_CHECKING, const

if TYPE_CHECKING:
    from collections.abc import Callable

    from lilong_firmware.row import Row

    Mark = tuple[int, int, int]
    """(source, position, part): everything before `position` and `part` readings of the row
    that begins there are in batches."""

# Sealing 1024 rows takes 64 KiB of small pieces, more than a node can count on.
_ROW_LIMIT = const(512)
_BUCKETS = const(8)
_LONG_MS = const(60000)


class Batcher:
    """Seals a batch when it is full, old enough, or when what follows cannot share its block.

    A block holds rows of one set of channels and of one time base. Channels keep the order in
    which they were read. A source with a position (`source` not 0) is sealed in its own order,
    so that each batch can tell where the source stood: one block is open at a time.
    `sink(item, channels, rows, mark)` gets every item.
    """

    def __init__(
        self,
        sink: "Callable[[bytes, tuple[int, ...], int, Mark], None]",
        batch_readings: int,
        batch_ms: int,
        mark: "Mark" = NOWHERE,
    ) -> None:
        self._sink = sink
        self._batch_readings = batch_readings
        self._batch_ms = batch_ms
        self._source = mark[0]
        self._position = mark[1]
        self._buckets: dict[tuple[int, ...], Bucket] = {}
        self.unencodable = 0
        """Readings whose time or value no block can hold."""

    def add(self, row: "Row") -> None:
        """Take one row."""
        channels = tuple([reading[0] for reading in row.readings])
        self._make_way(channels, row.boot)
        bucket = self._bucket(channels)
        bucket.add(row, self._position)
        if bucket.full:
            self._seal(bucket)

    def expire(self, uptime_ms: int) -> None:
        """Seal what has waited for long enough."""
        for bucket in self._open():
            if uptime_ms - bucket.opened_ms >= self._batch_ms:
                self._seal(bucket)

    def flush(self) -> None:
        """Seal everything."""
        for bucket in self._open():
            self._seal(bucket)

    def wait_ms(self, uptime_ms: int) -> int:
        """Return the milliseconds until expire has something to seal."""
        wait_ms: int = _LONG_MS
        for bucket in self._open():
            wait_ms = min(wait_ms, bucket.opened_ms + self._batch_ms - uptime_ms)
        return max(0, wait_ms)

    def _open(self) -> "list[Bucket]":
        return [bucket for bucket in self._buckets.values() if bucket.rows]

    def _make_way(self, channels: "tuple[int, ...]", boot: "int | None") -> None:
        """Seal what the next row may neither join nor overtake."""
        for bucket in self._open():
            same = bucket.channels == channels
            if bucket.boot != boot or (not same and (self._source or _meet(bucket, channels))):
                self._seal(bucket)

    def _bucket(self, channels: "tuple[int, ...]") -> Bucket:
        bucket = self._buckets.get(channels)
        if bucket is None:
            if len(self._buckets) >= _BUCKETS:
                self.flush()
                self._buckets.clear()
            capacity = min(_ROW_LIMIT, max(1, self._batch_readings // len(channels)))
            bucket = self._buckets[channels] = Bucket(channels, capacity)
        return bucket

    def _seal(self, bucket: Bucket) -> None:
        self._emit(bucket, 0, bucket.rows)
        self._position = bucket.end(bucket.rows - 1)
        bucket.clear()

    def _emit(self, bucket: Bucket, start: int, stop: int) -> None:
        """Hand over rows start..stop-1, in halves when they are too long for one item."""
        if stop - start == 1:
            self._emit_row(bucket, start)
            return
        item = _encode(bucket, start, stop)
        if item is None or len(item) > ITEM_LIMIT:
            middle = (start + stop) // 2
            self._emit(bucket, start, middle)
            self._emit(bucket, middle, stop)
            return
        mark = (self._source, bucket.end(stop - 1), 0) if self._source else NOWHERE
        self._sink(item, bucket.channels, stop - start, mark)

    def _emit_row(self, bucket: Bucket, row: int) -> None:
        """Hand over a lone row, channel by channel: a block of several needs two rows."""
        time = bucket.times(row, row + 1)[0]
        part = bucket.part if row == 0 else 0
        columns = bucket.columns(row, row + 1)
        for index, (channel, values) in enumerate(columns):
            try:
                item = encode_single(channel, time, values[0], bucket.boot)
            except RangeError:
                self.unencodable += 1
                continue
            last = index + 1 == len(columns)
            mark = NOWHERE
            if self._source:
                after = bucket.end(row) if last else bucket.end(row - 1)
                mark = (self._source, after, 0 if last else part + index + 1)
            self._sink(item, (channel,), 1, mark)


def _meet(bucket: Bucket, channels: "tuple[int, ...]") -> bool:
    """Whether the bucket holds one of these channels."""
    return any(channel in bucket.channels for channel in channels)


def _encode(bucket: Bucket, start: int, stop: int) -> "bytes | None":
    """Return a block of rows start..stop-1, None when a number in it has no encoding."""
    times = bucket.times(start, stop)
    columns = bucket.columns(start, stop)
    try:
        if len(columns) == 1:
            return encode_series(columns[0][0], times, columns[0][1], bucket.boot)
        return encode_table(times, columns, bucket.boot)
    except RangeError:
        return None
