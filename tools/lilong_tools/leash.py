"""Child processes that never outlive the process which started them."""

import os
import sys
from collections.abc import Sequence

_PROGRAM = """
import ctypes, os, sys
ctypes.CDLL(None).prctl(1, 9)
os.getppid() == int(sys.argv[1]) or os._exit(0)
os.execvp(sys.argv[2], sys.argv[2:])
"""


def leashed(command: Sequence[str | os.PathLike[str]]) -> list[str]:
    """Give the command line which runs `command` so that the kernel kills it after its parent.

    The process keeps its id and open files. It is killed (SIGKILL) when the *thread* that
    started it ends, however that happens: start it from one which lives as long as it should.
    Linux only, prctl(2) PR_SET_PDEATHSIG. A step of its own, because code between fork and exec
    (preexec_fn) can hang in a process with threads.
    """
    words = [os.fspath(word) for word in command]
    return [sys.executable, "-I", "-S", "-c", _PROGRAM, str(os.getpid()), *words]
