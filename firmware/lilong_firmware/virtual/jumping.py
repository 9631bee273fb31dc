"""Runs on MicroPython: asyncio on a clock that jumps to the next due moment when all wait.

MicroPython's own queue of tasks is in C and reads the ticks of the machine. Another one takes its
place here before asyncio is imported, with the same methods; all else of asyncio stays.
"""

import sys
from time import ticks_add, ticks_diff  # type: ignore[attr-defined]

_HALF_DAY_MS = 43200000
_POLL = 3
_READABLE = 1


class VirtualTime:
    """The ticks that asyncio waits by. They begin half a day before they wrap."""

    def __init__(self) -> None:
        self.elapsed_ms = 0
        self._ticks = ticks_add(0, -_HALF_DAY_MS)

    def ticks_ms(self) -> int:
        """Return the ticks of this clock."""
        return self._ticks

    def advance(self, wait_ms: int) -> None:
        """Let time pass."""
        self.elapsed_ms += wait_ms
        self._ticks = ticks_add(self._ticks, wait_ms)


class TaskQueue:
    """Tasks by the moment when they are due; equals in the order in which they came."""

    clock = VirtualTime()

    def __init__(self) -> None:
        self._tasks: list[Task] = []

    def push(self, task: "Task", due: "int | None" = None) -> None:
        task.data = None
        task.ph_key = self.clock.ticks_ms() if due is None else due
        place = len(self._tasks)
        while place and ticks_diff(self._tasks[place - 1].ph_key, task.ph_key) > 0:
            place -= 1
        self._tasks.insert(place, task)

    def peek(self) -> "Task | None":
        return self._tasks[0] if self._tasks else None

    def pop(self) -> "Task":
        return self._tasks.pop(0)

    def remove(self, task: "Task") -> None:
        self._tasks.remove(task)


class Task:
    """A coroutine under way. `state`: True runs, a queue of those who wait for it, else done."""

    def __init__(self, coro: object, core: "dict[str, object]") -> None:
        self.coro = coro
        self.data = None
        self.state = True
        self.ph_key = 0
        self._core = core

    def __iter__(self) -> "Task":
        if not self.state:
            self.state = False
        elif self.state is True:
            self.state = TaskQueue()
        return self

    def __next__(self) -> None:
        if self.state:
            waiting = self._core["cur_task"]
            self.state.push(waiting)
            waiting.data = self
        elif self.data is None:
            raise StopIteration
        else:
            raise self.data

    def done(self) -> bool:
        return not self.state

    def cancel(self) -> bool:
        if not self.state:
            return False
        if isinstance(self.data, Task):
            return self.data.cancel()
        ready = self._core["_task_queue"]
        if hasattr(self.data, "remove"):
            self.data.remove(self)
            ready.push(self)
        elif ticks_diff(self.ph_key, TaskQueue.clock.ticks_ms()) > 0:
            ready.remove(self)
            ready.push(self)
        self.data = self._core["CancelledError"]
        return True


class _Queues:
    """What asyncio imports as _asyncio."""

    TaskQueue = TaskQueue
    Task = Task


def take_over() -> VirtualTime:
    """Make asyncio, which must not be imported yet, follow a virtual clock; return the clock."""
    sys.modules["_asyncio"] = _Queues
    from asyncio import core  # noqa: PLC0415 - not before its queue has been replaced

    clock = TaskQueue.clock

    class Streams(core.IOQueue):
        """What waits for input or output; instead of waiting too, it lets time pass."""

        def wait_io_event(self, wait_ms: int) -> None:
            # poll(2) would sleep a little even when asked not to.
            for reader, _, stream in list(self.map.values()):
                if reader is not None and stream.ioctl(_POLL, _READABLE):
                    self._dequeue(stream)
                    core._task_queue.push(reader)
            first = core._task_queue.peek()
            if first is None:
                raise RuntimeError("nothing will ever happen")
            if wait_ms > 0 and ticks_diff(first.ph_key, clock.ticks_ms()) > 0:
                clock.advance(wait_ms)

    core.ticks = clock.ticks_ms
    core._io_queue = Streams()
    return clock
