"""The assumptions as they stand in the file beside this one."""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files

_LIMITS = {"lost": (0.0, 0.9), "heard": (0.05, 1.0)}


@dataclass(frozen=True, slots=True)
class Assumption:
    """One number that is taken for granted; "lost" and "heard" are shares."""

    name: str
    value: float
    unit: str
    source: str


class Book:
    """What assumptions.toml holds; `changed` replaces values by name."""

    def __init__(self, changed: Mapping[str, float] | None = None) -> None:
        text = files("lilong_tools.radio_plan").joinpath("assumptions.toml").read_text("utf-8")
        self._entries = {
            f"{group}.{name}": Assumption(f"{group}.{name}", float(value), unit, source)
            for group, entries in tomllib.loads(text).items()
            for name, (value, unit, source) in entries.items()
        }
        for name, value in (changed or {}).items():
            old = self._entries[name]
            self._entries[name] = Assumption(name, value, old.unit, "given")

    def __getitem__(self, name: str) -> float:
        """Give a value."""
        return self._entries[name].value

    def __iter__(self) -> Iterator[Assumption]:
        """Give all, in the order of the file."""
        return iter(self._entries.values())

    def limits(self, name: str) -> tuple[float, float]:
        """Give between which values the model holds."""
        return _LIMITS.get(self._entries[name].unit, (0.1, 1e5))

    def __contains__(self, name: str) -> bool:
        """Whether there is one of that name."""
        return name in self._entries
