"""Checked access to the fields of settings.json."""

from lilong_firmware.errors import SettingsError
from lilong_protocol.portable import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any


class Fields:
    """One object of the file. `path` is how errors name it, "" for the outermost."""

    def __init__(self, values: "Any", path: str = "") -> None:
        if not isinstance(values, dict):
            raise SettingsError(path or "settings.json", "must be an object {...}")
        self._values: dict[str, Any] = values
        self._path = path
        self._read: list[str] = []
        self._children: list[Fields] = []

    def name(self, key: str = "") -> str:
        """Return the key as errors name it; without one the object itself."""
        return self._path + "." + key if self._path and key else self._path or key

    def named(self) -> "list[tuple[str, Fields]]":
        """Return the objects in this one by their names, in the order of those."""
        return [(key, self.object(key)) for key in sorted(self._values)]

    def has(self, key: str) -> bool:
        """Whether the key is given and not null."""
        self._read.append(key)
        return self._values.get(key) is not None

    def number(self, key: str, low: int, high: int, default: "int | None" = None) -> int:
        """Return an integer low..high; without a default it must be there."""
        value = self._given(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            problem = "must be a whole number " + str(low) + ".." + str(high)
            raise SettingsError(self.name(key), problem + ", not " + repr(value))
        return value

    def choice(self, key: str, choices: "Sequence[Any]", default: "Any") -> int:
        """Return the place of the value among `choices`, numbers or texts."""
        value = self._given(key, default)
        # True is 1 to Python.
        if isinstance(value, bool) or value not in choices:
            shown = ", ".join([repr(choice) for choice in choices])
            raise SettingsError(self.name(key), "must be one of " + shown)
        return choices.index(value)

    def real(self, key: str, low: float, high: float, default: float) -> float:
        """Return a number low..high."""
        value = self._given(key, default)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise SettingsError(self.name(key), "must be a number, not " + repr(value))
        if not low <= value <= high:
            raise SettingsError(self.name(key), "must be " + str(low) + ".." + str(high))
        return float(value)

    def text(self, key: str, limit: int, default: "str | None" = None) -> str:
        """Return a text of at most `limit` characters."""
        value = self._given(key, default)
        if not isinstance(value, str) or len(value) > limit:
            problem = "must be a text of at most " + str(limit) + " characters"
            raise SettingsError(self.name(key), problem)
        return value

    def flag(self, key: str) -> bool:
        """Return true or false, false when it is not given."""
        value = self._given(key, False)  # noqa: FBT003 - the default of a JSON value
        if not isinstance(value, bool):
            raise SettingsError(self.name(key), "must be true or false, not " + repr(value))
        return value

    def list(self, key: str) -> "list[Any]":
        """Return a list with something in it."""
        value = self._given(key, None)
        if not isinstance(value, list) or not value:
            raise SettingsError(self.name(key), "must be a list with at least one entry")
        return value

    def object(self, key: str) -> "Fields":
        """Return an object, empty when it is not given; the same one each time."""
        values = self._given(key, {})
        path = self.name(key)
        for child in self._children:
            if child.name() == path:
                return child
        return self.child(values, path)

    def child(self, values: "Any", path: str) -> "Fields":
        """Return an object that lies in this one."""
        child = Fields(values, path)
        self._children.append(child)
        return child

    def unread(self) -> "str | None":
        """Return the name of a key that nobody has asked for, None when there is none."""
        for key in self._values:
            if key not in self._read:
                return self.name(key)
        for child in self._children:
            name = child.unread()
            if name is not None:
                return name
        return None

    def _given(self, key: str, default: "Any") -> "Any":
        self._read.append(key)
        value = self._values.get(key)
        if value is not None:
            return value
        if default is None:
            raise SettingsError(self.name(key), "is missing")
        return default
