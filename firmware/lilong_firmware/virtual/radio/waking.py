"""How asyncio hears of interrupts on a virtual node: in poll(2), and not once a millisecond.

A ThreadSafeFlag of the unix port is no file, so that a task which waits for one keeps the whole
process polling. Here every poll of asyncio also listens to an eventfd, the bell.
"""

import asyncio
import select
import sys
from asyncio import core

from micropython import const

_EXPECTING = const(0)
"""A key of asyncio's map of streams that is the id of none."""
_NOBODY = (None, None, None)


class Bell:
    """Ends asyncio's present poll, or its next one; may be rung anywhere."""

    def __init__(self, descriptor: int) -> None:
        self.file = open(descriptor, "r+b")  # noqa: SIM115 - open as long as the node runs
        self._one = (1).to_bytes(8, sys.byteorder)
        self._count = bytearray(8)
        self._expecting = []

    def ring(self) -> None:
        """Wake the loop."""
        self.file.write(self._one)

    def expect(self, flag: "Flag") -> None:
        """Look after this flag, which a task waits for, when the bell rings."""
        self._expecting.append(flag)
        # Asyncio ends when nothing is in its map and no task is due.
        core._io_queue.map[_EXPECTING] = _NOBODY  # noqa: SLF001

    def answer(self) -> None:
        """Wake the tasks whose flags are set."""
        self.file.readinto(self._count)
        expecting = self._expecting
        self._expecting = []
        for flag in expecting:
            if not flag.settle():
                self._expecting.append(flag)
        if not self._expecting:
            core._io_queue.map.pop(_EXPECTING, None)  # noqa: SLF001


class Poller:
    """A select.poll that answers the bell and tells asyncio of all else."""

    def __init__(self, poller: "select.poll", bell: Bell) -> None:
        self._poller = poller
        self._bell = bell
        self.register = poller.register
        self.modify = poller.modify
        self.unregister = poller.unregister
        poller.register(bell.file, select.POLLIN)

    def ipoll(self, wait_ms: int) -> "object":
        """Yield the streams that are ready, as select.poll.ipoll does."""
        while True:
            for ready in self._poller.ipoll(wait_ms):
                if ready[0] is self._bell.file:
                    self._bell.answer()
                else:
                    yield ready
            # Asked to wait without end, asyncio takes it that there is a task to run now.
            if wait_ms >= 0 or core._task_queue.peek():  # noqa: SLF001
                return


class Flag:
    """What asyncio.ThreadSafeFlag is: one task waits, anything sets; it clears itself."""

    bell = None

    def __init__(self) -> None:
        self._set = False
        self._tasks = core.TaskQueue()

    def set(self) -> None:
        """Wake the task that waits, or that comes to wait."""
        self._set = True
        Flag.bell.ring()

    def clear(self) -> None:
        """Forget that it was set."""
        self._set = False

    def wait(self) -> "object":
        """Wait until it is set; AssertionError if another task does already."""
        if self._tasks.peek():
            raise AssertionError
        if not self._set:
            self._tasks.push(core.cur_task)
            core.cur_task.data = self._tasks
            Flag.bell.expect(self)
            yield
        self._set = False

    def settle(self) -> bool:
        """Wake the task if the flag is set; return whether none waits any more."""
        if self._set and self._tasks.peek():
            core._task_queue.push(self._tasks.pop())  # noqa: SLF001 - as asyncio's own Event does
        return not self._tasks.peek()


def install(descriptor: int) -> Bell:
    """Give asyncio this bell and these flags, whatever loop it makes; return the bell."""
    bell = Bell(descriptor)

    class Streams(core.IOQueue):
        """What asyncio waits for besides time."""

        def __init__(self) -> None:
            super().__init__()
            self.poller = Poller(self.poller, bell)

    # A task may be waiting for a stream already.
    core._io_queue.poller = Poller(core._io_queue.poller, bell)  # noqa: SLF001
    core.IOQueue = Streams
    Flag.bell = bell
    asyncio.ThreadSafeFlag = Flag
    return bell
