"""The readings of a batch by the moment at which they were taken."""

from collections.abc import Iterator
from datetime import UTC, datetime

from lilong_gateway.senml import Column, Exact, Telemetry

Values = dict[str, Exact]
"""By the names of channels."""


def moments(batch: Telemetry) -> Iterator[tuple[Exact, Values]]:
    """Yield UNIX times and what was read then, in time order; a time may come more than once."""
    exponent = batch.time_exponent
    for index in sorted(range(len(batch.times)), key=batch.times.__getitem__):
        values = {column.channel.name: value_at(column, index) for column in batch.columns}
        yield Exact(batch.times[index], exponent), values


def value_at(column: Column, index: int) -> Exact:
    """Return one value of a column."""
    return Exact(column.values[index], column.channel.exponent)


def milliseconds(time: Exact) -> int:
    """Return a UNIX time in ms, rounded down where it is finer."""
    places = time.exponent + 3
    if places >= 0:
        return int(time.digits * 10**places)
    return int(time.digits // 10**-places)


def iso(unix_ms: int) -> str:
    """Return yyyy-MM-dd'T'HH:mm:ss.SSS'Z' (ISO 8601, UTC)."""
    seconds, rest_ms = divmod(unix_ms, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest_ms:03d}Z"
