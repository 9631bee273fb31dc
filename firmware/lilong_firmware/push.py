"""Objects that a gateway pushes: what takes them is loaded when the first one comes."""

from lilong_protocol.portable import TYPE_CHECKING, const

if TYPE_CHECKING:
    from collections.abc import Callable

    from lilong_firmware.board import Board
    from lilong_firmware.configuration import Configuration
    from lilong_firmware.restart import Restart
    from lilong_firmware.sink import Inbox
    from lilong_firmware.transfer import Depot, Transfer
    from loader import Boot

_INBOX = const("inbox")


class Push:
    """OFFER, WRITE and APPLY; a node that nothing was pushed to has no room for their code.

    `feed` is the watchdog's.
    """

    def __init__(
        self,
        boot: "Boot",
        board: "Board",
        configuration: "Configuration",
        eui: bytes,
        restart: "Restart",
        feed: "Callable[[], None]",
    ) -> None:
        self._boot = boot
        self._board = board
        self._configuration = configuration
        self._eui = eui
        self._restart = restart
        self._feed = feed
        self._transfer: Transfer | None = None

    async def offer(self, body: bytes) -> bytes:
        """See Transfer."""
        return await self._opened().offer(body)

    async def write(self, body: bytes) -> bytes:
        """See Transfer."""
        return await self._opened().write(body)

    async def apply(self, body: bytes) -> bytes:
        """See Transfer."""
        return await self._opened().apply(body)

    def _opened(self) -> "Transfer":
        if self._transfer is None:
            self._transfer = self._open()
        return self._transfer

    def _open(self) -> "Transfer":
        """Load what takes objects, some 15 KiB."""
        from lilong_firmware.configurations import Configurations  # noqa: PLC0415 - see above
        from lilong_firmware.sink import Inbox  # noqa: PLC0415 - see above
        from lilong_firmware.transfer import Transfer  # noqa: PLC0415 - see above

        inbox = Inbox(_INBOX)
        configuration = self._configuration
        depot = Configurations(inbox, configuration, configuration.path, self._eui)
        return Transfer(depot, lambda: self._open_updates(inbox), self._restart)

    def _open_updates(self, inbox: "Inbox") -> "Depot":
        """Load what verifies and keeps updates, some 20 KiB that a node seldom needs."""
        # The leaves first: an import inside an import costs stack, of which the chip has 16 KiB.
        for name in ("sha512", "ed25519", "cose", "manifest"):
            __import__("lilong_protocol." + name)
        from lilong_firmware.update import Update  # noqa: PLC0415 - see above

        board = self._board
        return Update(
            inbox, self._boot, board.device_class(), "update.pub", board.next_image, self._feed
        )
