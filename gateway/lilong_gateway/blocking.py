"""Blocking calls, each in a thread of its own, waited for a bounded time."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Generic, TypeVar

T = TypeVar("T")


class _Call(Generic[T]):
    """One call: what came of it, and what to do with a result nobody waits for any more."""

    def __init__(self, call: Callable[[], T], discard: Callable[[T], None] | None) -> None:
        self._call = call
        self._discard = discard
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()
        self._abandoned = False
        self.done: asyncio.Future[T] = self._loop.create_future()

    def run(self) -> None:
        try:
            result = self._call()
        except BaseException as error:  # noqa: BLE001 - carried over to the one who waits
            self._tell(self._fail, error)
            return
        with self._lock:
            abandoned = self._abandoned
            if not abandoned:
                self._tell(self._succeed, result)
        if abandoned and self._discard is not None:
            self._discard(result)

    def abandon(self) -> None:
        with self._lock:
            self._abandoned = True
        if self.done.done() and not self.done.cancelled() and self.done.exception() is None:
            self._drop(self.done.result())

    def _drop(self, result: T) -> None:
        if self._discard is not None:
            threading.Thread(target=self._discard, args=(result,), daemon=True).start()

    def _tell(self, tell: Callable[..., None], value: object) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody waits
            self._loop.call_soon_threadsafe(tell, value)

    def _succeed(self, result: T) -> None:
        if self._abandoned:
            self._drop(result)
        elif not self.done.done():
            self.done.set_result(result)

    def _fail(self, error: BaseException) -> None:
        if not self._abandoned and not self.done.done():
            self.done.set_exception(error)


async def in_thread(
    call: Callable[[], T], timeout_s: float, discard: Callable[[T], None] | None = None
) -> T:
    """Run call in a daemon thread and return its result; TimeoutError after timeout_s.

    A result that comes too late, or after a cancellation, is given to discard.
    """
    work = _Call(call, discard)
    threading.Thread(target=work.run, daemon=True).start()
    try:
        async with asyncio.timeout(timeout_s):
            return await asyncio.shield(work.done)
    except BaseException:
        work.abandon()
        raise
