"""A cancellation that Python 3.11 loses on its way."""

import asyncio


def heed_cancellation() -> None:
    """Raise CancelledError if this task was told to end and goes on all the same.

    asyncio.wait_for (which aiomqtt uses) forgets a cancellation that comes in the same turn as
    what it waits for (github.com/python/cpython/issues/86296), and a task group waits for ever
    for such a child. So a child that goes round a loop asks here. Not for a task that has groups
    of its own: 3.11 counts a failure of theirs as a cancellation of it, for good.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
