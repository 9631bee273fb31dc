"""A format that never raises, whatever a batch holds or a platform says."""

import logging
from collections.abc import Callable, Sequence
from typing import TypeVar

from lilong_gateway.logs import pairs
from lilong_gateway.senml import Telemetry
from lilong_gateway.uplink.message import Figures, Format, Message

T = TypeVar("T")
_LOG = logging.getLogger(__name__)


class Guarded:
    """One sink's format; what it fails at is counted and logged once."""

    def __init__(self, form: Format, name: str) -> None:
        self.status_topic = form.status_topic
        self.batch_limit = max(1, form.batch_limit)
        self.failures = 0
        self._form = form
        self._name = name
        self._told: set[str] = set()

    def subscriptions(self) -> Sequence[str]:
        """As the format's."""
        return self._try("subscriptions", self._form.subscriptions, ())

    def begin(self) -> Sequence[Message]:
        """As the format's; nothing when it fails."""
        return self._try("begin", self._form.begin, ())

    def heard(self, topic: str, payload: bytes) -> Sequence[Message]:
        """As the format's; nothing when it fails."""
        return self._try("heard", lambda: self._form.heard(topic, payload), ())

    def health(self, figures: Figures, unix_ms: int) -> Sequence[Message]:
        """As the format's; nothing when it fails."""
        return self._try("health", lambda: self._form.health(figures, unix_ms), ())

    def messages(self, batches: Sequence[Telemetry]) -> Sequence[Message] | None:
        """As the format's; None when it fails."""

        def call() -> Sequence[Message] | None:
            return self._form.messages(batches)

        return self._try("messages", call, None)

    def _try(self, what: str, call: Callable[[], T], instead: T) -> T:
        try:
            return call()
        except Exception as error:  # noqa: BLE001 - a mistake in a format must not stop a sink
            self.failures += 1
            if what not in self._told:
                self._told.add(what)
                _LOG.exception("format failed %s", pairs(sink=self._name, at=what, error=error))
        return instead
