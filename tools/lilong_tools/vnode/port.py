"""A serial port whose other end is a virtual node."""

import contextlib
import os
import tty
from pathlib import Path


class Port:
    """A pseudo terminal under a path that stays the same; the node holds its master end.

    The node is wired to this very terminal: when the port goes, the node's line goes for good.
    """

    outlives_plug = False
    """Whether a node can go on while the port is away."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._terminal: tuple[int, int] | None = None

    @property
    def plugged(self) -> bool:
        """Whether the port exists at present."""
        return self._terminal is not None

    @property
    def node_end(self) -> int:
        """The non-blocking file descriptor that the node inherits; the port must be plugged."""
        return self._ends()[0]

    def plug(self) -> None:
        """Let the port appear: a new terminal, raw, and its path."""
        if self._terminal is not None:
            return
        master, slave = os.openpty()
        # Held open: without any reader the node's end would report an error, not silence.
        self._terminal = (master, slave)
        tty.setraw(slave)
        os.set_blocking(master, False)
        self.path.unlink(missing_ok=True)
        self.path.symlink_to(os.ttyname(slave))

    def unplug(self) -> None:
        """Let the port vanish: who has it open sees the line hang up."""
        if self._terminal is None:
            return
        self.path.unlink(missing_ok=True)
        terminal, self._terminal = self._terminal, None
        for end in terminal:
            os.close(end)

    def inject(self, data: bytes) -> None:
        """Put foreign bytes on the line towards the gateway; those without room are lost."""
        with contextlib.suppress(BlockingIOError):
            os.write(self._ends()[0], data)

    def close(self) -> None:
        """Give everything back."""
        self.unplug()

    def _ends(self) -> tuple[int, int]:
        if self._terminal is None:
            raise OSError(f"the port {self.path} is unplugged")
        return self._terminal
