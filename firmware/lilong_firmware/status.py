"""STATUS: what this node runs, and what became of what was pushed to it."""

from lilong_protocol import cbor
from lilong_protocol.portable import TYPE_CHECKING

if TYPE_CHECKING:
    from lilong_firmware.configuration import Configuration
    from loader import Boot


class Status:
    """The answer at any time of this boot."""

    def __init__(
        self, boot: "Boot", configuration: "Configuration", version: int, device_class: str
    ) -> None:
        self._boot = boot
        self._configuration = configuration
        self._version = version
        self._device_class = device_class

    async def tell(self, _body: bytes) -> bytes:
        """Return the configuration's version and hash, what runs, and both last results."""
        boot = self._boot
        return cbor.encode_sequence(
            (
                self._version,
                self._configuration.digest,
                self._device_class,
                boot.slot,
                boot.sequence,
                boot.trial,
                boot.result,
                boot.result_sequence,
                boot.recovery,
                self._configuration.state,
            )
        )
