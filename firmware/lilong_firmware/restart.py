"""Resets on purpose: never before the answer that announced one has left."""

import asyncio

from lilong_protocol.portable import TYPE_CHECKING, const

if TYPE_CHECKING:
    from collections.abc import Callable

    from lilong_firmware.clock import Clock
    from lilong_firmware.supervision import Supervisor
    from lilong_protocol.node_session import NodeSession

_LOOK_S = const(0.1)
_LONGEST_LOOKS = const(100)
_MOMENT_S = const(1.0)


class Restart:
    """Ends this boot, with a cause of lilong_firmware.crash."""

    def __init__(
        self,
        supervisor: "Supervisor",
        session: "NodeSession",
        clock: "Clock",
        log: "Callable[[str], None]",
    ) -> None:
        self._supervisor = supervisor
        self._session = session
        self._clock = clock
        self._log = log
        self.wanted: int | None = None
        """Why the node restarts once it has answered; None: it does not."""

    @property
    def under_way(self) -> bool:
        """Whether this boot ends already."""
        return self._supervisor.restart_cause is not None

    async def if_wanted(self) -> None:
        """Restart if somebody wants it, when nothing is due for the line or after 10 s."""
        if self.wanted is None:
            return
        for _ in range(_LONGEST_LOOKS):
            if self._session.due_ms(self._clock.uptime_ms()) > 0:
                break
            await asyncio.sleep(_LOOK_S)
        # What has left the session is still in the chip's buffer.
        await asyncio.sleep(_MOMENT_S)
        self.now(self.wanted)

    def now(self, cause: int) -> None:
        """Restart at the supervisor's next look."""
        if not self.under_way:
            self._log("restart, cause " + str(cause))
            self._supervisor.restart_cause = cause
