"""What the source of one driver tells: its docstring for people, its class for the node.

Nothing is imported or run: the firmware is MicroPython's.
"""

import ast
import operator
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lilong_tools.errors import ToolError
from lilong_tools.vnode.folder import installed_firmware

FIELDS = ("Datasheet", "Wiring", "Limits", "Power")
"""What the docstring of a driver must say; also Options, and Gives where those decide it."""

_HEADER = re.compile(r"^([A-Z][a-z]+): ?", re.MULTILINE)
_OPTION = re.compile(r"^ {4}([\w.\[\]]+): (.*)")
_OPERATORS: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.LShift: operator.lshift,
    ast.Pow: operator.pow,
}
_READERS = {"number", "real", "choice", "text", "flag", "list", "object"}


@dataclass(frozen=True, slots=True)
class Quantity:
    """What a driver gives: `exponent` is its scale, `lowest` and `highest` are in the unit."""

    name: str
    unit: str
    exponent: int
    lowest: str
    highest: str


@dataclass(frozen=True, slots=True)
class Option:
    """A key of a device: what may stand there, its default, what it means."""

    name: str
    form: str
    default: str
    words: str


@dataclass(frozen=True, slots=True)
class Leaflet:
    """One driver. `gives` is empty where its options decide what it gives."""

    name: str
    title: str
    bus: str
    fields: Mapping[str, str]
    gives: tuple[Quantity, ...]
    options: tuple[Option, ...]


def leaflets(folder: Path | None = None) -> list[Leaflet]:
    """Read every driver of this tree, in the order of their names."""
    if folder is None:
        folder = installed_firmware().program.parent / "lilong_firmware" / "drivers"
    return [read_leaflet(path) for path in sorted(folder.glob("[a-z]*.py"))]


def read_leaflet(path: Path) -> Leaflet:
    """Read one driver; ToolError where it does not say what a driver must."""
    tree = ast.parse(path.read_text("utf-8"), str(path))
    title, fields = _docstring(ast.get_docstring(tree) or "", path)
    constants = _constants(tree)
    driver = _driver(tree, path)
    attributes = _assigned(driver)
    bus = attributes.get("BUS")
    if not isinstance(bus, ast.Constant):
        raise ToolError(f"{path} names no BUS", "say i2c, uart, onewire or pins")
    given = attributes.get("GIVES")
    quantities = tuple(_quantities(given, constants)) if isinstance(given, ast.Tuple) else ()
    if not quantities and "Gives" not in fields:
        raise ToolError(f"{path} does not tell what it gives", "add Gives to its docstring")
    words = _option_words(fields.pop("Options", ""))
    options = tuple(_options(tree, constants, words))
    return Leaflet(path.stem, title, str(bus.value), fields, quantities, options)


def _docstring(text: str, path: Path) -> tuple[str, dict[str, str]]:
    head, *rest = _HEADER.split(text)
    fields = {name: body.rstrip() for name, body in zip(rest[::2], rest[1::2], strict=True)}
    missing = [name for name in FIELDS if name not in fields]
    if missing or not head.strip():
        names = ", ".join(missing) or "purpose"
        raise ToolError(f"{path} does not tell its {names}", "add it to its docstring")
    flat = {
        name: body if name == "Options" else " ".join(body.split())
        for name, body in fields.items()
    }
    return head.strip().splitlines()[0].rstrip("."), flat


def _driver(tree: ast.Module, path: Path) -> ast.ClassDef:
    found = [
        node for node in tree.body if isinstance(node, ast.ClassDef) and "BUS" in _assigned(node)
    ]
    if len(found) != 1:
        raise ToolError(f"{path} holds {len(found)} drivers", "give it one class with BUS")
    return found[0]


def _assigned(node: ast.ClassDef | ast.Module) -> dict[str, ast.expr]:
    found = {}
    for statement in node.body:
        targets: list[ast.expr] = []
        if isinstance(statement, ast.Assign):
            targets = statement.targets
        elif isinstance(statement, ast.AnnAssign):
            targets = [statement.target]
        for target in targets:
            if isinstance(target, ast.Name) and statement.value is not None:  # type: ignore[attr-defined]
                found[target.id] = statement.value  # type: ignore[attr-defined]
    return found


def _constants(tree: ast.Module) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in _assigned(tree).items():
        inner = value.args[0] if isinstance(value, ast.Call) and value.args else value
        try:
            found[name] = _value(inner, found)
        except ValueError:
            continue
    return found


def _value(node: ast.expr, constants: Mapping[str, Any]) -> Any:  # noqa: ANN401
    """Give the value of an expression of constants; ValueError for any other."""
    if isinstance(node, ast.Name) and node.id in constants:
        return constants[node.id]
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_value(node.operand, constants)
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        left, right = _value(node.left, constants), _value(node.right, constants)
        return _OPERATORS[type(node.op)](left, right)
    return ast.literal_eval(node)


def _quantities(given: ast.Tuple, constants: Mapping[str, Any]) -> Iterator[Quantity]:
    for call in given.elts:
        if isinstance(call, ast.Call):
            name, unit, exponent, low, high = (_value(each, constants) for each in call.args)
            yield Quantity(name, unit, exponent, decimal(low, exponent), decimal(high, exponent))


def decimal(value: int, exponent: int) -> str:
    """Write value * 10**exponent without a float."""
    if exponent >= 0:
        return str(value * 10**exponent)
    digits = str(abs(value)).rjust(1 - exponent, "0")
    number = f"{digits[:exponent]}.{digits[exponent:]}".rstrip("0").rstrip(".")
    return f"-{number}" if value < 0 else number


def _option_words(text: str) -> dict[str, str]:
    words: dict[str, str] = {}
    name = ""
    for line in text.splitlines():
        if match := _OPTION.match(line):
            name = match[1]
            words[name] = match[2].strip()
        elif name:
            words[name] += " " + line.strip()
    return words


def _options(
    tree: ast.Module, constants: Mapping[str, Any], words: Mapping[str, str]
) -> Iterator[Option]:
    """Give the keys that the driver reads of its options, then what else its docstring tells."""
    seen = set()
    for call in ast.walk(tree):
        if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute)):
            continue
        reader = call.func.attr
        whose = call.func.value
        if reader not in _READERS or not isinstance(whose, ast.Name) or whose.id != "options":
            continue
        name = _value(call.args[0], constants) if isinstance(call.args[0], ast.Constant) else None
        if isinstance(name, str) and name not in seen:
            seen.add(name)
            yield _option(name, reader, call.args[1:], constants, words.get(name, ""))
    for name in sorted(words.keys() - seen):
        yield Option(name, "", "", words[name])


def _option(
    name: str, reader: str, rest: list[ast.expr], constants: Mapping[str, Any], words: str
) -> Option:
    values = []
    for each in rest:
        try:
            values.append(_value(each, constants))
        except ValueError:
            values.append(None)
    kinds = {"flag": "true or false", "list": "a list", "object": "an object", "text": "a text"}
    form = kinds.get(reader, "")
    if reader in {"number", "real"}:
        form = f"{values[0]}..{values[1]}"
        values = values[2:]
    elif reader == "choice":
        form = "one of " + ", ".join(str(value) or '""' for value in values[0] or ())
        values = values[1:]
    elif reader == "text":
        values = values[1:]
    default = "" if not values or values[0] is None else str(values[0])
    return Option(name, form, "false" if reader == "flag" else default, words)
