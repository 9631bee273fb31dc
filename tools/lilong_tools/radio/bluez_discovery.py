"""The discoveries of an adapter's clients: one each, with a filter each."""

from collections.abc import Mapping
from typing import Any

from lilong_tools.radio.bluez_errors import failed, in_progress
from lilong_tools.radio.bluez_sighting import Sighting


class Discoveries:
    """Which clients have set a filter, and which of them are discovering."""

    def __init__(self) -> None:
        self._filters: dict[str, Mapping[str, Any]] = {}
        self._active: set[str] = set()

    def __bool__(self) -> bool:
        return bool(self._active)

    @property
    def filtered(self) -> bool:
        """Whether any of the discoveries under way has a filter."""
        return any(self._options())

    @property
    def repeat(self) -> bool:
        """Whether any of them wants data that it knows already (DuplicateData)."""
        return any(options.get("DuplicateData", False) for options in self._options())

    def set_filter(self, client: str, options: Mapping[str, Any]) -> None:
        """Set or, with no options, clear the filter of a client."""
        self._filters[client] = options

    def start(self, client: str) -> None:
        """Begin; BluezError when this client's discovery is under way."""
        if client in self._active:
            raise in_progress()
        self._active.add(client)

    def stop(self, client: str) -> None:
        """End; BluezError when this client has none."""
        if client not in self._active:
            raise failed("No discovery started")
        self._active.discard(client)

    def leave(self, client: str) -> None:
        """Forget a client."""
        self._active.discard(client)
        self._filters.pop(client, None)

    def clear(self) -> None:
        """Forget everything."""
        self._active.clear()
        self._filters.clear()

    def wants(self, sighting: Sighting) -> bool:
        """Whether anybody is to hear of it."""
        return any(sighting.passes(options) for options in self._options())

    def _options(self) -> list[Mapping[str, Any]]:
        return [self._filters.get(client, {}) for client in self._active]
