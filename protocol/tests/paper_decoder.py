"""A decoder of what Lilong frames carry, written from SPEC.md alone; it shares no product code.

Everything wrong is a ValueError. Numbers in brackets are sections of SPEC.md.
"""

import io
from typing import Any, NamedTuple

ALNUM = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


def need(condition: bool, what: str) -> None:
    if not condition:
        raise ValueError(what)


# [1.2] CBOR


class Items:
    def __init__(self, data: bytes) -> None:
        self.source = io.BytesIO(data)
        self.size = len(data)
        self.budget = 4096

    def __iter__(self) -> "Items":
        return self

    def __next__(self) -> Any:
        if self.source.tell() == self.size:
            raise StopIteration
        return self.one(4)

    def exactly(self, count: int) -> bytes:
        need(count <= self.size - self.source.tell(), "CBOR is truncated")
        return self.source.read(count)

    def one(self, depth: int) -> Any:
        self.budget -= 1
        need(self.budget >= 0, "too many items")
        major, low = divmod(self.exactly(1)[0], 32)
        if major == 7:
            need(low in (20, 21, 22), "a simple value")
            return {20: False, 21: True, 22: None}[low]
        need(low < 28 and major not in (5, 6), "not in the subset")
        number = low if low < 24 else int.from_bytes(self.exactly(1 << low - 24), "big")
        if major < 2:
            return -1 - number if major else number
        if major == 4:
            need(depth > 0 and number <= self.size, "an array")
            return [self.one(depth - 1) for _ in range(number)]
        text = self.exactly(number)
        return text if major == 2 else text.decode("utf-8")


def sequence(data: bytes) -> list[Any]:
    return list(Items(data))


# [5] Messages. A form is a function that says whether a field has it.


def number(high: int, low: int = 0) -> Any:
    return lambda field: type(field) is int and low <= field <= high


def octets(low: int, high: int) -> Any:
    return lambda field: type(field) is bytes and low <= len(field) <= high


def words(limit: int) -> Any:
    def has_form(field: Any) -> bool:
        return (
            type(field) is str
            and len(field) <= limit
            and not (any(ord(letter) < 32 or ord(letter) == 127 for letter in field))
        )

    return has_form


def or_null(form: Any) -> Any:
    return lambda field: field is None or form(field)


def positions(field: Any) -> bool:
    return type(field) is list and len(field) == 4 and all(number(1 << 32)(one) for one in field)


U32, U48, U64 = number((1 << 32) - 1), number((1 << 48) - 1), number((1 << 64) - 1)
FORMS = {
    "hello": [U32, U32, U48, positions, positions, octets(8, 8), number(255), words(64)],
    "welcome": [or_null(U48), lambda field: type(field) is bool, positions],
    "describe": [U32, or_null(U48), U48, octets(8, 8), or_null(octets(0, 900))],
    "request": [U32, number(255), octets(0, 960)],
    "response": [U32, number(255), octets(0, 960)],
    "time-question": [U48],
    "time-answer": [U48, or_null(U48)],
}
ACK_FORM = [number(3), number(1 << 32), number(65535), number(255)]
CHANNEL_FORM = [number(255), words(32), words(32), number(18, -24), number(0, -3), number(3)]


def fit(forms: list[Any], fields: list[Any]) -> list[Any]:
    need(len(fields) >= len(forms), "too few fields")
    for at, form in enumerate(forms):
        need(form(fields[at]), f"field {at}")
    return fields[: len(forms)]


def message(name: str, plaintext: bytes) -> list[Any]:
    """Return the fields of a message that are known here."""
    fields = sequence(plaintext)
    if name == "data":
        need(fields != [] and U32(fields[0]), "seq")
        return fields
    if name == "ack":
        need(len(fields) in (4, 8, 12, 16), "entries")
        for at in range(0, len(fields), 4):
            fit(ACK_FORM, fields[at : at + 4])
        return fields
    fields = fit(FORMS[name], fields)
    if name == "hello":
        need(all(one <= other for one, other in zip(*fields[3:5], strict=True)), "first")
    return fields


def descriptor(data: bytes) -> Any:
    """Return the array of a descriptor [8]."""
    need(len(data) <= 900, "length")
    (whole,) = sequence(data)
    need(type(whole) is list and len(whole) == 2 and U64(whole[0]), "version")
    need(type(whole[1]) is list, "channels")
    for row in whole[1]:
        need(type(row) is list and len(row) == 7, "a channel")
        fit([*CHANNEL_FORM, words(64)], row)
        need(row[4] in (0, -3), "time exponent")
        need(row[1][:1] in set(ALNUM) and set(row[1]) <= set(ALNUM + "-:./_"), "name")
    for at in (0, 1):
        need(len({row[at] for row in whole[1]}) == len(whole[1]), "twice")
    return whole


# [7] Items


class Item(NamedTuple):
    boot: int | None
    times: list[int]
    columns: list[list[Any]]


def unzigzag(symbol: int) -> int:
    return -(symbol + 1) // 2 if symbol % 2 else symbol // 2


def column(data: bytes, count: int) -> list[int]:
    """Return the values of an R1 column [7.3]."""
    need(1 <= count <= 1024 and len(data) >= 2 and not data[0] & 0x30, "header")
    order, constant, k = data[0] >> 7, data[0] >> 6 & 1, data[0] & 15
    size = next((at for at, octet in enumerate(data[1:], 1) if octet < 128), 99)
    need(size <= 10, "base")
    base = sum((octet & 127) << 7 * at for at, octet in enumerate(data[1 : size + 1]))
    need(base < 1 << 64, "base")
    base, bits = unzigzag(base), data[size + 1 :]
    if constant:
        need(not bits, "bytes after a constant")
        return [base] * count
    residuals = rice("".join(f"{octet:08b}" for octet in bits), k, count - order)
    if not order:
        return [base + residual for residual in residuals]
    values = [base]
    for residual in residuals:
        values.append(values[-1] + residual)
    return values


def rice(bits: str, k: int, count: int) -> list[int]:
    tape = io.StringIO(bits)

    def take(size: int) -> int:
        got = tape.read(size)
        need(len(got) == size, "codes end too early")
        return int(got, 2) if got else 0

    symbols = []
    for _ in range(count):
        ones = 0
        while ones < 12 and take(1):
            ones += 1
        symbols.append(take(take(5) + 1) if ones == 12 else (ones << k) + take(k))
    rest = tape.read()
    need(len(rest) < 8 and "1" not in rest, "padding")
    return [unzigzag(symbol) for symbol in symbols]


def integers(field: Any, count: int) -> list[int]:
    if type(field) is bytes:
        return column(field, count)
    need(type(field) is list and len(field) == count, "an array")
    need(all(type(one) is int for one in field), "an integer")
    return list(field)


def start_of(field: Any) -> tuple[int | None, int]:
    boot = None
    if type(field) is list:
        need(len(field) == 2 and U32(field[0]), "boot id")
        boot, field = field
    need(U64(field), "time")
    return boot, field


def times_of(start: int, field: Any, count: int) -> list[int]:
    if type(field) is list and len(field) == 2 and type(field[1]) is bytes:
        need(U64(field[0]) and field[0] > 0, "g")
        steps = [field[0] * step for step in column(field[1], count - 1)]
    elif type(field) is list:
        steps = integers(field, count - 1)
    else:
        need(U64(field), "a step")
        steps = [field] * (count - 1)
    times = [start]
    for step in steps:
        times.append(times[-1] + step)
    need(all(U64(time) for time in times), "a time")
    return times


def item(data: bytes) -> Item:
    """Return what an item means."""
    fields = sequence(data)
    need(fields != [] and type(fields[0]) is int and fields[0] in (0, 1, 2), "kind")
    kind = fields.pop(0)
    if kind == 0:
        need(len(fields) == 3 and type(fields[2]) is int and number(255)(fields[0]), "single")
        boot, start = start_of(fields[1])
        return Item(boot, [start], [[fields[0], [fields[2]]]])
    if kind == 1:
        need(len(fields) == 5, "series")
        fields = [*fields[1:4], fields[0], fields[4]]
    need(len(fields) >= 5 and len(fields) % 2 == 1, "table")
    boot, start = start_of(fields[0])
    count, pairs = fields[1], list(zip(fields[3::2], fields[4::2], strict=True))
    need(number(1024, 2)(count) and count * len(pairs) <= 4096, "n")
    need(all(number(255)(channel) for channel, _ in pairs), "a channel")
    need(len({channel for channel, _ in pairs}) == len(pairs), "a channel twice")
    times = times_of(start, fields[2], count)
    return Item(boot, times, [[channel, integers(field, count)] for channel, field in pairs])
