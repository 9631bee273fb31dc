import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from lilong_gateway.blocking import in_thread


async def test_the_result_and_the_error_of_a_call_come_back() -> None:
    assert await in_thread(lambda: 7, 10) == 7
    with pytest.raises(ZeroDivisionError):
        await in_thread(lambda: 1 // 0, 10)


async def test_a_result_that_comes_too_late_is_given_back(eventually: Callable[..., Any]) -> None:
    go = threading.Event()
    discarded: list[int] = []

    def call() -> int:
        go.wait()
        return 7

    with pytest.raises(TimeoutError):
        await in_thread(call, 0.01, discarded.append)
    go.set()
    await eventually(lambda: discarded == [7])


async def test_a_result_that_nobody_takes_after_a_cancellation_is_given_back(
    eventually: Callable[..., Any],
) -> None:
    go = threading.Event()
    discarded: list[bool] = []
    task = asyncio.create_task(in_thread(go.wait, 10, discarded.append))
    await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.wait([task])
    go.set()
    await eventually(lambda: discarded == [True])
