import asyncio

import pytest

from lilong_gateway.links.bounded import end, within

AGAIN_S = 0.05


async def test_what_answers_in_time_is_handed_on_and_its_error_too() -> None:
    async def answer() -> int:
        await asyncio.sleep(0)
        return 7

    async def fail() -> None:
        raise KeyError("x")

    assert await within(5, answer()) == 7
    with pytest.raises(KeyError):
        await within(5, fail())


async def test_what_does_not_answer_is_cancelled_and_left() -> None:
    ended = []

    async def hang() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(1)

    with pytest.raises(TimeoutError):
        await within(0.01, hang())
    assert ended


async def test_what_waits_in_its_clean_up_for_ever_is_cancelled_again() -> None:
    undone = []

    async def hang() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            undone.append(1)
            await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(10):
            await within(0.01, hang(), AGAIN_S)
    assert undone


async def test_what_does_not_let_itself_be_cancelled_is_left_behind(
    caplog: pytest.LogCaptureFixture,
) -> None:
    free = asyncio.Event()

    async def stubborn() -> None:
        while not free.is_set():
            try:
                await free.wait()
            except asyncio.CancelledError:
                continue

    task = asyncio.create_task(stubborn())
    await asyncio.sleep(0)
    await end(task, AGAIN_S)
    assert not task.done()
    assert "left behind" in caplog.text
    free.set()
    await task


async def test_a_caller_that_is_cancelled_takes_the_work_with_it() -> None:
    ended = asyncio.Event()

    async def hang() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    caller = asyncio.create_task(within(60, hang()))
    await asyncio.sleep(0.01)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert ended.is_set()
