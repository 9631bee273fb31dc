"""Outputs that are off from the start, and the rules that may switch them once they are armed."""

from lilong_firmware.output import open_outputs
from lilong_protocol.portable import TYPE_CHECKING, const

if TYPE_CHECKING:
    from collections.abc import Callable

    from lilong_firmware.board import Board
    from lilong_firmware.clock import Clock
    from lilong_firmware.collection import Collection, Shelf
    from lilong_firmware.guard import Guard
    from lilong_firmware.journal import Journal
    from lilong_firmware.rule_settings import RuleSettings
    from lilong_firmware.settings import Sampling
    from lilong_firmware.supervision import Supervisor
    from lilong_firmware.trace import Trace

_LIMIT_MS = const(30000)


class Protection:
    """Of a node whose settings have rules or outputs; no other one loads it.

    A reset may leave a pin as it was: outputs are switched off even when no rule will ever be
    armed, as in recovery.
    """

    def __init__(self, settings: "RuleSettings", sampling: "Sampling", board: "Board") -> None:
        self._settings = settings
        self._sampling = sampling
        self._log = board.log
        self._outputs = open_outputs(settings, board.output, board.log)
        self._guard: Guard | None = None

    def arm(
        self,
        shelf: "Shelf",
        alarm_shelf: "Shelf",
        journal: "Journal",
        trace: "Trace",
        clock: "Clock",
        boot_id: int,
    ) -> "Callable[[int, int | None, int], None]":
        """Return what takes every reading (channel, value, uptime)."""
        from lilong_firmware.guard import Guard  # noqa: PLC0415 - not where sensors stay off

        self._guard = Guard(
            self._settings,
            self._sampling,
            self._outputs,
            shelf,
            alarm_shelf,
            journal,
            trace,
            clock,
            boot_id,
            self._log,
        )
        return self._guard.rules.take

    @property
    def collections(self) -> "list[Collection]":
        """What is to be stopped, and sealed, before an orderly end."""
        return [] if self._guard is None else [self._guard.states]

    def start(self, supervisor: "Supervisor") -> None:
        """Start the duties of what is armed."""
        if self._guard is not None:
            supervisor.start("rules", _LIMIT_MS, self._guard.rules.run)
            supervisor.start("states", _LIMIT_MS, self._guard.states.run)

    def stop(self) -> None:
        """Switch all outputs off for good, and make durable what was read."""
        if self._guard is not None:
            self._guard.rules.stop()
            self._guard.states.stop()
