"""A configuration that is pushed: received, checked and put in force."""

from lilong_firmware.configuration import FILE_LIMIT, HASH_BYTES
from lilong_firmware.crash import CONFIGURED
from lilong_firmware.errors import RefusedError, SettingsError
from lilong_firmware.files import remove_file
from lilong_firmware.sink import FileSink, file_digest
from lilong_firmware.transfer import CONFIGURATION
from lilong_protocol.portable import TYPE_CHECKING

if TYPE_CHECKING:
    from lilong_firmware.configuration import Configuration
    from lilong_firmware.sink import Inbox


class Configurations:
    """The depot of the kind CONFIGURATION."""

    def __init__(
        self, inbox: "Inbox", configuration: "Configuration", path: str, eui: bytes
    ) -> None:
        self._inbox = inbox
        self._configuration = configuration
        self._path = path
        self._eui = eui
        self._digest = b""

    async def offer(self, kind: int, index: int, size: int, digest: bytes) -> FileSink:
        """Return where it goes: full if it is in force already."""
        if index or size > FILE_LIMIT:
            raise RefusedError("a configuration has index 0 and at most 16384 bytes")
        self._digest = digest
        if digest[:HASH_BYTES] == self._configuration.digest:
            return FileSink(self._path, size)
        sink = FileSink(self._inbox.place(kind, digest), size)
        if sink.held == size and not await self.complete(kind):
            sink.drop()
        return sink

    async def complete(self, kind: int) -> bool:
        """Whether what has arrived is what was offered."""
        return await file_digest(self._inbox.place(kind, self._digest)) == self._digest

    async def apply(self, _kind: int) -> "int | None":
        """Check what was offered last and put it in force; a bad one is dropped."""
        if not self._digest:
            raise RefusedError("nothing to apply: offer it first")
        if self._digest[:HASH_BYTES] == self._configuration.digest:
            return None
        path = self._inbox.place(CONFIGURATION, self._digest)
        if await file_digest(path) != self._digest:
            raise RefusedError("it is not here as a whole: offer it again")
        try:
            check(path, self._eui)
        except SettingsError as problem:
            remove_file(path)
            raise RefusedError(str(problem))
        self._configuration.swap(path, self._digest[:HASH_BYTES])
        return CONFIGURED


def check(path: str, eui: bytes) -> None:
    """SettingsError unless everything in the file is usable, known, and of this node.

    At start a key that means nothing is ignored, since a file written by hand may have some; one
    that is pushed was meant to do something.
    """
    # What is received first has no need of all this.
    from lilong_firmware.sensors.catalogue import build_sensor  # noqa: PLC0415 - see above
    from lilong_firmware.settings import read_settings  # noqa: PLC0415 - see above

    settings = read_settings(path, eui)
    if settings.problem is not None:
        raise settings.problem
    if settings.unread is not None:
        raise SettingsError(settings.unread, "means nothing here; leave it out")
    if settings.eui != eui:
        raise SettingsError("eui", "is another node's")
    if not settings.running.version:
        raise SettingsError("version", "is missing; give a whole number from 1")
    sampling = settings.sampling
    if sampling is not None and sampling.sensor.replay is None and sampling.setup is None:
        build_sensor(sampling.sensor.kind, sampling.seed)
