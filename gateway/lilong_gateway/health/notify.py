"""Words to the service manager: one datagram each, sd_notify(3) and systemd.service(5)."""

import os
import socket
from collections.abc import MutableMapping

_SOCKET, _USEC, _PID = "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"
_STATUS_CHARACTERS = 500


class Notifier:
    """Tells nobody when address is None. It never waits, and what fails is dropped.

    watchdog_s is how long the service manager waits for beat(), None: it does not.
    """

    def __init__(self, address: str | None = None, watchdog_s: float | None = None) -> None:
        self.watchdog_s = watchdog_s
        self._address = None if address is None else _path(address)
        self._socket: socket.socket | None = None

    @classmethod
    def from_environment(cls, environment: MutableMapping[str, str]) -> "Notifier":
        """Take the variables out, so that no child speaks for us."""
        address = environment.pop(_SOCKET, None)
        usec, pid = environment.pop(_USEC, ""), environment.pop(_PID, "")
        ours = not pid or pid == str(os.getpid())
        watched = ours and usec.isascii() and usec.isdigit() and int(usec) > 0
        return cls(address, int(usec) / 1e6 if watched else None)

    def ready(self) -> None:
        """The start is over."""
        self._send("READY=1")

    def starting(self, more_s: float) -> None:
        """The start goes on; it is not to be given up for more_s from now."""
        self._send(f"EXTEND_TIMEOUT_USEC={round(more_s * 1e6)}")

    def status(self, text: str) -> None:
        """Say in words for a person what is so."""
        self._send("STATUS=" + " ".join(text.split())[:_STATUS_CHARACTERS])

    def beat(self) -> None:
        """All is well, or no new start would help."""
        if self.watchdog_s is not None:
            self._send("WATCHDOG=1")

    def stopping(self) -> None:
        """The end has begun."""
        self._send("STOPPING=1")

    def close(self) -> None:
        """Let the socket go."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _send(self, words: str) -> None:
        if self._address is None:
            return
        try:
            if self._socket is None:
                self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
                self._socket.settimeout(0)
            self._socket.sendto(words.encode(), self._address)
        except OSError:
            return  # Nobody listens, or too slowly: there is nobody to tell either.


def _path(address: str) -> str | None:
    """Return the address as the system wants it; None for a kind that is not known."""
    if address.startswith("@"):
        return "\0" + address[1:]
    return address if address.startswith("/") else None
