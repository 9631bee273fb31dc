"""Links carry bytes between a node and the gateway."""

from collections.abc import Awaitable, Callable
from typing import Protocol


class Link(Protocol):
    """An open line; nothing here waits.

    It tells of any change by the on_change it was opened with: bytes have come, there is room
    again, or it is lost.
    """

    port: str

    @property
    def room(self) -> int:
        """Bytes that write still takes."""
        ...

    def read(self) -> bytes:
        """Return what has come, maybe nothing; LinkLostError once the line is gone."""
        ...

    def write(self, data: bytes) -> None:
        """Send data as the line takes it; LinkLostError if it is gone or data exceeds room."""
        ...

    async def close(self) -> None:
        """Let the port go."""
        ...


OpenLink = Callable[[str, Callable[[], None]], Awaitable[Link]]
"""Opens a port, and has the second argument called on any change; LinkError says why not."""
