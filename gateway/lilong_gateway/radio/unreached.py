"""Nodes with which no visit came to a session the last time: why, in words for a person."""

import logging
from dataclasses import asdict, dataclass

from lilong_gateway.logs import pairs

_MOST = 4096
_LOG = logging.getLogger(__name__)


@dataclass(slots=True)
class _Trouble:
    link: str
    why: str
    failures: int = 0


class Unreached:
    """Logs of each row of failures the first, second, fourth, eighth and so on, and its end."""

    def __init__(self) -> None:
        self._troubles: dict[bytes, _Trouble] = {}

    def failed(self, eui: bytes, link: str, why: str) -> None:
        """Take that a visit came to nothing."""
        trouble = self._troubles.setdefault(eui, _Trouble(link, why))
        trouble.link, trouble.why = link, why
        trouble.failures += 1
        if trouble.failures & (trouble.failures - 1) == 0:
            fields = pairs(eui=eui, link=link, why=why, failures=trouble.failures)
            _LOG.warning("node not reached %s", fields)
        if len(self._troubles) > _MOST:
            del self._troubles[next(iter(self._troubles))]

    def reached(self, eui: bytes, link: str) -> None:
        """Take that a session was open."""
        trouble = self._troubles.pop(eui, None)
        if trouble is not None:
            fields = pairs(eui=eui, link=link, failures=trouble.failures)
            _LOG.warning("node reached again %s", fields)

    def status(self) -> dict[str, dict[str, object]]:
        """Return what is so at present, for the status file."""
        return {eui.hex(): asdict(one) for eui, one in self._troubles.items()}
