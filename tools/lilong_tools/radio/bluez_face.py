"""One interface of a D-Bus object: its methods and properties, as plain values."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

Values = Mapping[str, Any]
"""Properties by name; None for one that is absent."""


@dataclass(frozen=True)
class Call:
    """A method call: who asks (a unique bus name) and with what, variants unwrapped."""

    sender: str
    body: list[Any]


@dataclass(frozen=True)
class Method:
    """A method: signatures of its arguments and of its answer, and what answers it.

    An answer whose signature begins with `h` begins with a file descriptor, which is closed
    once it is sent. BluezError becomes an error reply.
    """

    takes: str
    gives: str
    answer: Callable[[Call], Awaitable[tuple[Any, ...]]]


class Face:
    """An interface: its name, its methods, its properties and what sets those that can be set."""

    def __init__(
        self,
        name: str,
        signatures: Mapping[str, str],
        values: Values,
        methods: Mapping[str, Method] | None = None,
        setters: Mapping[str, Callable[[Any], Awaitable[None]]] | None = None,
    ) -> None:
        """Describe the interface; `signatures` names all properties it can have."""
        self.name = name
        self.signatures = signatures
        self.methods = methods or {}
        self.setters = setters or {}
        self._values = dict(values)
        self._say: Callable[[Face, Values, list[str]], None] | None = None

    def __getitem__(self, name: str) -> Any:  # noqa: ANN401 - what D-Bus types allow
        """Give a property's value, None when it is absent."""
        return self._values.get(name)

    def values(self) -> dict[str, Any]:
        """Give all properties that are present."""
        return {name: value for name, value in self._values.items() if value is not None}

    def tell(self, say: Callable[["Face", Values, list[str]], None] | None) -> None:
        """Say who hears of changes: what changed and which properties are gone."""
        self._say = say

    def change(self, values: Values) -> None:
        """Set properties and say so at once, whether they differ or not."""
        self._values.update(values)
        if self._say is not None:
            here = {name: value for name, value in values.items() if value is not None}
            self._say(self, here, [name for name, value in values.items() if value is None])
