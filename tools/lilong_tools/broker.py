"""The embedded MQTT broker: amqtt, MQTT 3.1.1, in memory, without passwords, as its own process.

Run as `python -m lilong_tools.broker HOST PORT`. The only importer of amqtt.
"""

import argparse
import asyncio
import contextlib
import logging
import signal
import sys

from amqtt.adapters import ReaderAdapter, StreamReaderAdapter, StreamWriterAdapter
from amqtt.broker import Broker
from amqtt.errors import AMQTTError, BrokerError
from amqtt.plugins.base import BaseAuthPlugin
from amqtt.session import Session

from lilong_tools.console import report
from lilong_tools.errors import ToolError

_GRACE_S = 30
_LISTENER = "default"
_CONNECT = 0x10
_CONTINUES = 0x80
_LEVEL_311 = bytes([0, 4]) + b"MQTT" + bytes([4])
_UNACCEPTABLE_VERSION = bytes([0x20, 2, 0, 1])


class Welcome(BaseAuthPlugin):
    """Lets everyone in by client id.

    amqtt's own anonymous plugin marks its sessions so that they are forgotten a second after they
    disconnect, persistent or not; this one does not.
    """

    async def authenticate(self, *, session: Session) -> bool:
        """Accept."""
        return session is not None


class Server:
    """One broker on one TCP port."""

    def __init__(self) -> None:
        """Make a broker that listens nowhere yet; needs a running event loop."""
        self._broker = Broker(
            {
                "listeners": {_LISTENER: {"type": "external", "bind": "unused"}},
                "timeout_disconnect_delay": _GRACE_S,
                "plugins": {"lilong_tools.broker.Welcome": {}},
            }
        )

    async def serve(self, host: str, port: int, stop: asyncio.Event) -> None:
        """Serve until `stop` is set; raise ToolError when the port cannot be had."""
        try:
            await self._broker.start()
            server = await asyncio.start_server(self._greet, host, port)
        except (BrokerError, OSError) as error:
            raise ToolError(f"no broker on {host}:{port} ({error})", "free the port") from error
        await stop.wait()
        server.close()
        await self._broker.shutdown()

    async def _greet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Hand a client to amqtt, but refuse other versions than 3.1.1 before it sees them.

        amqtt takes the properties of an MQTT 5 CONNECT for the client id, and waits for bytes
        that never come instead of refusing.
        """
        with contextlib.suppress(OSError, EOFError, AMQTTError):
            seen = await _opening(reader)
            if seen.endswith(_LEVEL_311):
                ends = _Seen(seen, reader), StreamWriterAdapter(writer)
                await self._broker.external_connected(*ends, _LISTENER)
            elif seen[0] == _CONNECT:
                writer.write(_UNACCEPTABLE_VERSION)
                await writer.drain()
        writer.close()


class _Seen(ReaderAdapter):
    """A stream whose first bytes were read already."""

    def __init__(self, seen: bytes, reader: asyncio.StreamReader) -> None:
        self._seen = seen
        self._rest = StreamReaderAdapter(reader)

    async def read(self, n: int = -1) -> bytes:
        if not self._seen:
            return await self._rest.read(n)
        size = len(self._seen) if n < 0 else n
        first, self._seen = self._seen[:size], self._seen[size:]
        return first + await self._rest.read(size - len(first)) if len(first) < size else first

    def feed_eof(self) -> None:
        self._rest.feed_eof()


async def _opening(reader: asyncio.StreamReader) -> bytes:
    """Read a CONNECT as far as its protocol level (MQTT 3.1.1 sections 3.1.1 to 3.1.2.2)."""
    seen = await reader.readexactly(2)
    while seen[-1] & _CONTINUES and len(seen) <= 4:  # noqa: PLR2004 - 2.2.3: four bytes at most
        seen += await reader.readexactly(1)
    return seen + await reader.readexactly(len(_LEVEL_311))


async def _run(host: str, port: int) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await Server().serve(host, port, stop)


def main() -> int:
    """Read HOST and PORT from the command line and serve."""
    parser = argparse.ArgumentParser(prog="lilong_tools.broker")
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    options = parser.parse_args()
    logging.basicConfig(level=logging.ERROR, format="%(asctime)s broker: %(message)s")
    try:
        asyncio.run(_run(options.host, options.port))
    except ToolError as error:
        return report(error)
    return 0


if __name__ == "__main__":
    sys.exit(main())
