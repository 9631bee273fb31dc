"""Where in a TOML text each key stands, for messages; tomllib tells values but no lines."""

import re

Path = tuple[str | int, ...]
"""A key by its path: ("privacy", "grant", 0, "node")."""

_HEADER = re.compile(r"\s*(\[\[?)\s*([^\]]+?)\s*\]\]?\s*(?:#.*)?$")
_KEY = re.compile(
    r"""\s*((?:"[^"]*"|'[^']*'|[A-Za-z0-9_-]+)(?:\s*\.\s*(?:"[^"]*"|'[^']*'|[A-Za-z0-9_-]+))*)\s*=(.*)$"""
)
_PART = re.compile(r"""\s*(?:"([^"]*)"|'([^']*)'|([A-Za-z0-9_-]+))\s*\.?""")
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"|\'[^\']*\'')


def key_lines(text: str) -> dict[Path, int]:
    """Map the path of each table and key of a sound TOML text to its line, from 1."""
    scan = _Scan()
    for number, line in enumerate(text.splitlines(), start=1):
        scan.take(number, line)
    return scan.found


class _Scan:
    def __init__(self) -> None:
        self.found: dict[Path, int] = {}
        self._table: Path = ()
        self._counts: dict[Path, int] = {}
        self._quotes = ""
        self._depth = 0

    def take(self, number: int, line: str) -> None:
        if self._quotes or self._depth:
            self._skip(line)
        elif header := _HEADER.match(line):
            self._enter(number, header[1], _parts(header[2]))
        elif key := _KEY.match(line):
            self._note(number, self._table + _parts(key[1]))
            self._skip(key[2])

    def _enter(self, number: int, bracket: str, name: Path) -> None:
        path: Path = ()
        for part in name[:-1]:
            path += (part,)
            if path in self._counts:
                path += (self._counts[path] - 1,)
        path += (name[-1],)
        if bracket == "[[":
            index = self._counts.get(path, 0)
            self._counts[path] = index + 1
            self.found.setdefault(path, number)
            path += (index,)
        self._table = path
        self._note(number, path)

    def _note(self, number: int, path: Path) -> None:
        for size in range(1, len(path) + 1):
            self.found.setdefault(path[:size], number)

    def _skip(self, rest: str) -> None:
        """Follow a value that may go on over several lines."""
        while rest:
            if self._quotes:
                _, mark, rest = rest.partition(self._quotes)
                if not mark:
                    return
                self._quotes = ""
                continue
            rest = self._step(rest)

    def _step(self, rest: str) -> str:
        if rest[:3] in {'"""', "'''"}:
            self._quotes = rest[:3]
            return rest[3:]
        if string := _STRING.match(rest):
            return rest[string.end() :]
        if rest[0] == "#":
            return ""
        self._depth += (rest[0] in "[{") - (rest[0] in "]}")
        return rest[1:]


def _parts(name: str) -> Path:
    return tuple(next(part for part in match.groups("") if part) for match in _matches(name))


def _matches(name: str) -> list[re.Match[str]]:
    return [match for match in _PART.finditer(name) if any(match.groups(""))]
