"""Strict reading of TOML: each wrong key is a ConfigError naming file, line, key and remedy."""

import difflib
import re
import tomllib
from collections.abc import Sequence
from pathlib import Path

from lilong_gateway import config_lines
from lilong_gateway.errors import ConfigError

_AT_LINE = re.compile(r" ?\(at line (\d+), column \d+\)")


class Table:
    """One TOML table; allowed is all that may stand in it."""

    def __init__(
        self, document: "Document", path: config_lines.Path, values: object, allowed: Sequence[str]
    ) -> None:
        self._document = document
        self._path = path
        if not isinstance(values, dict):
            raise document.error(path, f"expected a table: write [{_dotted(path)}]")
        self._values: dict[str, object] = values
        for key in self._values:
            if allowed and key not in allowed:
                raise self.error(key, _unknown(key, allowed))

    @property
    def keys(self) -> list[str]:
        """The keys that were written, in order."""
        return list(self._values)

    def error(self, key: str, problem: str) -> ConfigError:
        """Return the error to raise about one key of this table."""
        return self._document.error((*self._path, key), problem)

    def text(self, key: str, default: str | None = None, choices: Sequence[str] = ()) -> str:
        """Return a string that is not empty; one of choices, when there are any."""
        value = self._get(key, default)
        if not isinstance(value, str) or not value:
            raise self.error(key, f"expected text in quotes, found {_shown(value)}")
        if "\0" in value:
            raise self.error(key, "holds a NUL character; remove it")
        if choices and value not in choices:
            close = difflib.get_close_matches(value, choices, 1)
            hint = f'; did you mean "{close[0]}"?' if close else ""
            raise self.error(key, f"must be one of {_listed(choices)}, not {_shown(value)}{hint}")
        return value

    def optional_text(self, key: str) -> str | None:
        """Return a string that is not empty, or None when it is not written."""
        return self.text(key) if key in self._values else None

    def whole(self, key: str, default: int | None, low: int, high: int) -> int:
        """Return an integer of low..high."""
        value = self._get(key, default)
        if not isinstance(value, int) or isinstance(value, bool):
            raise self.error(key, f"expected a whole number, found {_shown(value)}")
        if not low <= value <= high:
            raise self.error(key, f"must lie between {low} and {high}, not {value}")
        return value

    def seconds(self, key: str, default: float, low: float, high: float) -> float:
        """Return a number of low..high."""
        value = self._get(key, default)
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise self.error(key, f"expected a number of seconds, found {_shown(value)}")
        if not low <= value <= high:
            raise self.error(key, f"must lie between {low:g} and {high:g} s, not {value:g}")
        return float(value)

    def flag(self, key: str, *, default: bool) -> bool:
        """Return true or false."""
        value = self._get(key, default)
        if not isinstance(value, bool):
            raise self.error(key, f"expected true or false, found {_shown(value)}")
        return value

    def texts(self, key: str, default: list[str] | None = None) -> tuple[str, ...]:
        """Return a list of strings, none of them empty."""
        value = self._get(key, default)
        if not isinstance(value, list):
            raise self.error(key, f"expected a list of texts, found {_shown(value)}")
        for item in value:
            if not isinstance(item, str) or not item:
                raise self.error(
                    key, f"expected texts in quotes, found {_shown(item)} in the list"
                )
        return tuple(value)

    def is_list(self, key: str) -> bool:
        """Whether a list is written."""
        return isinstance(self._values.get(key), list)

    def table(self, key: str, allowed: Sequence[str]) -> "Table":
        """Return a table within this one; an absent one reads as empty."""
        return Table(self._document, (*self._path, key), self._values.get(key, {}), allowed)

    def tables(self, key: str, allowed: Sequence[str]) -> list["Table"]:
        """Return a list of tables within this one; an absent one reads as empty."""
        values = self._values.get(key, [])
        if not isinstance(values, list):
            raise self.error(
                key, f"expected a list of tables: write [[{_dotted(self._path)}.{key}]]"
            )
        path = (*self._path, key)
        return [
            Table(self._document, (*path, index), value, allowed)
            for index, value in enumerate(values)
        ]

    def _get(self, key: str, default: object) -> object:
        value = self._values.get(key, default)
        if value is None:
            raise self._document.error(
                self._path, f'"{key}" is missing; write {key} = ... under [{_dotted(self._path)}]'
            )
        return value


class Document:
    """A TOML file that was read: its values, and where they stand."""

    def __init__(self, file: Path) -> None:
        self.file = file
        text = _read(file)
        try:
            self.values: dict[str, object] = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise _syntax_error(file, text, str(error)) from None
        self._lines = config_lines.key_lines(text)

    def root(self, allowed: Sequence[str]) -> Table:
        """Return the outermost table."""
        return Table(self, (), self.values, allowed)

    def error(self, path: config_lines.Path, problem: str) -> ConfigError:
        """Return the error to raise about one path."""
        known = path
        while known and known not in self._lines:
            known = known[:-1]
        return ConfigError(self.file.name, self._lines.get(known, 0), _dotted(path), problem)


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        reason = error.strerror or "cannot be read"
        raise ConfigError(str(file), 0, "", f"{reason}; check the path and its owner") from None
    except UnicodeDecodeError:
        raise ConfigError(str(file), 0, "", "not UTF-8 text; save it as UTF-8") from None


def _syntax_error(file: Path, text: str, message: str) -> ConfigError:
    place = _AT_LINE.search(message)
    line = int(place[1]) if place else max(1, len(text.splitlines()))
    problem = _AT_LINE.sub("", message).replace(" (at end of document)", "")
    return ConfigError(file.name, line, "", f"not TOML: {problem}; correct this line")


def _unknown(key: str, allowed: Sequence[str]) -> str:
    close = difflib.get_close_matches(key, allowed, 1)
    if close:
        return f'unknown key; did you mean "{close[0]}"?'
    return f"unknown key; remove it (known here: {', '.join(allowed)})"


def _dotted(path: config_lines.Path) -> str:
    text = ""
    for part in path:
        text += f"[{part + 1}]" if isinstance(part, int) else f".{part}"
    return text.removeprefix(".")


def _listed(choices: Sequence[str]) -> str:
    return ", ".join(f'"{choice}"' for choice in choices)


def _shown(value: object) -> str:
    if isinstance(value, str):
        return f'"{value[:40]}"'
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)[:40] if isinstance(value, int | float) else f"a {type(value).__name__}"
