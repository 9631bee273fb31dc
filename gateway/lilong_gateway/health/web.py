"""A small web server in a thread of its own: it answers even while the event loop hangs."""

import asyncio
import logging
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus

from lilong_gateway.logs import pairs

_HEAD_BYTES = 8192
_TIMEOUT_S = 5.0
"""For one request, from the first byte to the last of the answer."""
_AT_ONCE = 16
_AGAIN_S = 10.0
_STOP_S = 0.5
_METHODS = ("GET", "HEAD")
_REQUEST = ("method", "target", "version")
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Answer:
    """What is sent for one request."""

    status: HTTPStatus
    body: bytes
    content_type: str = "text/plain; charset=utf-8"
    headers: Mapping[str, str] = field(default_factory=dict)


class Web:
    """GET and HEAD over HTTP/1.1 (RFC 9112), one request a connection; answer gives each page.

    A few at once are served, more are turned away. A port in use is one warning, and is tried
    again for ever.
    """

    def __init__(
        self, host: str, port: int, answer: Callable[[str], Answer], again_s: float = _AGAIN_S
    ) -> None:
        self._host = host
        self._port = port
        self._answer = answer
        self._again_s = again_s
        self._open = 0
        self._ended = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._serving: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Serve from now on, without waiting for anything."""
        threading.Thread(target=self._run, name="web", daemon=True).start()

    async def stop(self) -> None:
        """Close the port, if that goes quickly; the thread ends with the process otherwise."""
        loop, serving = self._loop, self._serving
        if loop is None or serving is None:
            return
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(serving.cancel)
        await asyncio.to_thread(self._ended.wait, _STOP_S)

    def _run(self) -> None:
        try:
            with suppress(asyncio.CancelledError):
                asyncio.run(self._serve())
        finally:
            self._ended.set()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._serving = asyncio.current_task()
        server = await self._listen()
        async with server:
            _LOG.info("page served %s", pairs(host=self._host, port=self._port))
            await server.serve_forever()

    async def _listen(self) -> asyncio.Server:
        told = False
        while True:
            try:
                return await asyncio.start_server(
                    self._converse, self._host, self._port, limit=_HEAD_BYTES
                )
            except OSError as error:
                if not told:
                    told = True
                    fields = pairs(host=self._host, port=self._port, error=error.strerror or error)
                    _LOG.warning("page not served, tried again; see http.port %s", fields)
            await asyncio.sleep(self._again_s)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._open >= _AT_ONCE:
            writer.transport.abort()
            return
        self._open += 1
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                writer.write(await self._hear(reader))
                await writer.drain()
                writer.write_eof()
                while await reader.read(_HEAD_BYTES):
                    pass  # closed with something unread, the answer would be lost (RFC 9112, 9.6)
                writer.close()
                await writer.wait_closed()
        except (TimeoutError, OSError, asyncio.CancelledError):
            pass  # the task ends here in any case, and asyncio.streams reports a cancelled one
        finally:
            self._open -= 1
            writer.transport.abort()

    async def _hear(self, reader: asyncio.StreamReader) -> bytes:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.LimitOverrunError:
            return _bytes(_plain(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE))
        except asyncio.IncompleteReadError:
            return _bytes(_plain(HTTPStatus.BAD_REQUEST))
        return self._reply(head)

    def _reply(self, head: bytes) -> bytes:
        words = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
        if len(words) != len(_REQUEST) or not words[2].startswith("HTTP/1."):
            return _bytes(_plain(HTTPStatus.BAD_REQUEST))
        method, target, _ = words
        if method not in _METHODS:
            allowed = {"Allow": ", ".join(_METHODS)}
            return _bytes(_plain(HTTPStatus.METHOD_NOT_ALLOWED, allowed))
        try:
            answer = self._answer(target.partition("?")[0])
        except Exception as error:  # noqa: BLE001 - no mistake on a page may end the others
            _LOG.exception("page failed %s", pairs(error=repr(error)))
            answer = _plain(HTTPStatus.INTERNAL_SERVER_ERROR)
        return _bytes(answer, only_head=method == "HEAD")


def _plain(status: HTTPStatus, headers: Mapping[str, str] | None = None) -> Answer:
    return Answer(status, f"{status.phrase}\n".encode(), headers=headers or {})


def _bytes(answer: Answer, *, only_head: bool = False) -> bytes:
    status = answer.status
    lines = [
        f"HTTP/1.1 {status.value} {status.phrase}",
        f"Content-Type: {answer.content_type}",
        f"Content-Length: {len(answer.body)}",
        "Cache-Control: no-store",
        "Connection: close",
        "Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'",
        "X-Content-Type-Options: nosniff",
        *(f"{name}: {value}" for name, value in answer.headers.items()),
    ]
    head = "\r\n".join([*lines, "", ""]).encode("latin-1")
    return head if only_head else head + answer.body
