import asyncio

import pytest

from lilong_tools.cancellation import heed_cancellation


async def forgetful(rounds: list[int]) -> None:
    """Go round for ever, deaf to being cancelled while it waits."""
    while True:
        heed_cancellation()
        rounds.append(len(rounds))
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            continue


async def test_a_task_that_has_missed_its_cancellation_ends_in_the_next_round() -> None:
    rounds: list[int] = []
    task = asyncio.create_task(forgetful(rounds))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert rounds == [0]


async def test_a_time_out_that_is_over_is_no_cancellation() -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await asyncio.sleep(1)
    heed_cancellation()
