"""Which registers of a Modbus unit hold which quantity, as the settings give it."""

from lilong_firmware.devices.quantity import Quantity
from lilong_firmware.devices.setup import STATUS
from lilong_firmware.errors import SettingsError
from lilong_protocol.portable import TYPE_CHECKING, const

if TYPE_CHECKING:
    from lilong_firmware.fields import Fields

_MOST_ENTRIES = const(64)
_MOST_REGISTERS = const(125)
# An answer with more bits can be as long as a request, and then the echo of one is a valid answer.
_MOST_BITS = const(16)
_LIMIT = 1 << 62
_BIT = "bit"
_TYPES = ("u16", "s16", "u32", "s32", "f32")
_ORDERS = ("abcd", "cdab", "badc", "dcba")


class Register:
    """One entry: its value in `unit` is raw * multiplier / divisor * 10**scale_exponent.

    `order` is how the bytes come, `a` the most significant. `invalid` is what the unit says for
    no value, as a raw number; a NaN is none either. An infinity is one more than the limit.
    """

    def __init__(self, fields: "Fields", index: int) -> None:
        self.index = index
        self.function = fields.number("function", 1, 4, 3)
        self.first = fields.number("register", 0, 65535)
        self.type = _one_of(fields, "type", (_BIT,) if self.function <= 2 else _TYPES)
        self.order = _one_of(fields, "order", _ORDERS)
        self.count = 2 if self.type[1:] == "32" else 1
        if self.first + self.count > 65536:
            raise SettingsError(fields.name("register"), "is the last; this type needs two")
        self._read_scale(fields)
        lowest = fields.number("lowest", -_LIMIT, _LIMIT)
        highest = fields.number("highest", lowest, _LIMIT)
        name, unit = fields.text("name", 32), fields.text("unit", 32)
        if not name or name == STATUS:
            raise SettingsError(fields.name("name"), "must be a name, and not status")
        self.quantity = Quantity(name, unit, self._exponent, lowest, highest)

    def _read_scale(self, fields: "Fields") -> None:
        self._exponent = fields.number("exponent", -9, 9, 0)
        power = fields.number("scale_exponent", -9, 9, 0) - self._exponent
        self._numerator = fields.number("multiplier", 1, 1000000, 1) * 10 ** max(0, power)
        self._denominator = fields.number("divisor", 1, 1000000, 1) * 10 ** max(0, -power)
        self._invalid = -1
        if fields.has("invalid"):
            mask = (1 << 16 * self.count) - 1
            self._invalid = fields.number("invalid", -(1 << 31), (1 << 32) - 1) & mask

    def value(self, data: bytes, offset: int) -> "int | None":
        """Return the scaled value, `offset` registers or bits from where `data` begins."""
        if self.type == _BIT:
            bits = data[offset >> 3] >> (offset & 7) & 1
        else:
            bits = _bits(data[2 * offset : 2 * (offset + self.count)], self.order)
        if bits == self._invalid:
            return None
        if self.type == "f32":
            return self._of_float(bits)
        if self.type[0] == "s" and bits >> (16 * self.count - 1):
            bits -= 1 << 16 * self.count
        return self._scaled(bits, 1)

    def _of_float(self, bits: int) -> "int | None":
        """Return the scaled value of an IEEE 754 number, exact before it is rounded."""
        power, fraction = bits >> 23 & 0xFF, bits & 0x7FFFFF
        negative = bits >> 31
        if power == 255:
            if fraction:
                return None
            return self.quantity.lowest - 1 if negative else self.quantity.highest + 1
        if power == 0:
            # Zero, or less than 10**-37, which is zero in any scale.
            return 0
        mantissa = -(fraction | 0x800000) if negative else fraction | 0x800000
        power -= 150
        return self._scaled(mantissa << max(0, power), 1 << max(0, -power))

    def _scaled(self, numerator: int, denominator: int) -> int:
        """Return the nearest integer; the upper one of two."""
        denominator *= self._denominator
        return (2 * numerator * self._numerator + denominator) // (2 * denominator)


class Block:
    """Registers, or bits, that one request reads."""

    def __init__(self, register: Register) -> None:
        self.function = register.function
        self.first = register.first
        self.registers: list[Register] = []
        self.count = 0
        self.add(register)

    def takes(self, register: Register, gap: int) -> bool:
        """Whether it can be read along, with at most `gap` others between."""
        most = _MOST_BITS if self.function <= 2 else _MOST_REGISTERS
        return (
            register.function == self.function
            and register.first <= self.first + self.count + gap
            and register.first + register.count <= self.first + most
        )

    def add(self, register: Register) -> None:
        """Read it along."""
        self.registers.append(register)
        self.count = max(self.count, register.first + register.count - self.first)


def registers_of(options: "Fields") -> "list[Register]":
    """Read the option `registers`; SettingsError names what is wrong."""
    entries = options.list("registers")
    if len(entries) > _MOST_ENTRIES:
        raise SettingsError(options.name("registers"), "has more than 64 entries")
    registers: list[Register] = []
    for index, entry in enumerate(entries):
        path = options.name("registers") + "[" + str(index) + "]"
        fields = options.child(entry, path)
        register = Register(fields, index)
        if register.quantity.name in [other.quantity.name for other in registers]:
            raise SettingsError(fields.name("name"), "is there twice")
        registers.append(register)
    return registers


def blocks_of(registers: "list[Register]", gap: int) -> "list[Block]":
    """Return the fewest requests, each of neighbours, that read all of it."""
    blocks: list[Block] = []
    for register in sorted(registers, key=lambda each: (each.function, each.first)):
        if blocks and blocks[-1].takes(register, gap):
            blocks[-1].add(register)
        else:
            blocks.append(Block(register))
    return blocks


def _one_of(fields: "Fields", key: str, choices: "tuple[str, ...]") -> str:
    """Return what is chosen, the first when nothing is."""
    value = fields.text(key, 4, choices[0])
    if value not in choices:
        raise SettingsError(fields.name(key), "must be one of " + ", ".join(choices))
    return value


def _bits(data: bytes, order: str) -> int:
    """Return one or two registers as an unsigned number."""
    value = 0
    for letter in "abcd"[: len(data)]:
        value = value << 8 | data[order.find(letter) % len(data)]
    return value
