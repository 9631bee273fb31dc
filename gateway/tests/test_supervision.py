import asyncio
from collections.abc import Callable
from typing import Any

from lilong_gateway.backoff import Backoff
from lilong_gateway.supervision import Supervisor


async def test_a_duty_that_fails_begins_anew_is_counted_and_put_to_rest(
    eventually: Callable[..., Any],
) -> None:
    supervisor = Supervisor()
    begun: list[int] = []
    stopped: list[str] = []

    async def duty() -> None:
        begun.append(1)
        if len(begun) < 4:
            raise ZeroDivisionError
        await asyncio.Event().wait()

    backoff = Backoff(lambda: 0.0, 0.01, 0.02)
    task = asyncio.create_task(supervisor.keep("one", duty, backoff, stopped.append))
    await eventually(lambda: len(begun) == 4)
    assert supervisor.failures == supervisor.failing == {"one": 3}
    assert stopped == ["one"] * 3
    task.cancel()


async def test_a_duty_that_was_never_wrong_is_not_failing() -> None:
    supervisor = Supervisor()
    task = asyncio.create_task(
        supervisor.keep("one", asyncio.Event().wait, Backoff(lambda: 0.0, 1, 1))
    )
    await asyncio.sleep(0)
    assert supervisor.failures == supervisor.failing == {}
    task.cancel()
