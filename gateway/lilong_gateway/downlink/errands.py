"""What a gateway has to ask of the node on one line, one thing at a time: keys first."""

from lilong_gateway.downlink.visit import Visit
from lilong_gateway.rotation import Rotation
from lilong_gateway.surroundings import Surroundings
from lilong_protocol import events, request
from lilong_protocol.gateway_session import GatewaySession


class Errands:
    """Asked at every turn of the line; times are those of the steady clock."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._rotation = Rotation(around.keys)
        self._visit: Visit | None = None

    @property
    def busy(self) -> bool:
        """Whether the node owes an answer, or is amid a push."""
        return self._visit is not None and self._visit.busy

    def ask(self, session: GatewaySession, now_ms: int) -> None:
        """Ask the node of this session for whatever is due."""
        self._rotation.ask(session, now_ms)
        if self._visit is not None:
            self._visit.ask(session, now_ms)

    def take(self, event: events.Event, now_ms: int) -> None:
        """Note what became of the session, and of what was asked in it."""
        match event:
            case events.Opened():
                self.end_visit()
                firmware = self._around.roster.node(event.eui).firmware
                self._visit = Visit(event.eui, firmware, self._around.downlink)
            case events.Closed():
                self.end_visit()
            case events.Responded():
                self._answered(event.eui, event.method, event.code, event.payload, now_ms)
            case events.Unanswered():
                self._answered(event.eui, event.method, None, b"", now_ms)

    def end_visit(self) -> None:
        """Note that the session is over."""
        if self._visit is not None:
            self._visit.close()
        self._visit = None

    def _answered(
        self, eui: bytes, method: int, code: int | None, payload: bytes, now_ms: int
    ) -> None:
        if method == request.REKEY:
            self._rotation.answered(eui, code, now_ms)
        elif self._visit is not None:
            self._visit.answered(code, payload, now_ms)
