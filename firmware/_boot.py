"""What MicroPython runs first after a reset, frozen in the place of the port's own.

After it, whatever happens here, MicroPython runs boot.py and main.py; both are frozen.
"""

import gc
import sys
import time

import esp32
import machine
import vfs

from copies import NAMESPACE, Copies
from keepsakes import Keepsakes
from storage import Storage

_LABEL = "vfs"
_WATCHDOG_MS = 60000
_PAUSE_S = 1


def _say(text: str) -> None:
    sys.stdout.write("storage: " + text + "\n")


def _copies() -> Copies:
    try:
        return Copies(esp32.NVS(NAMESPACE), _say)
    except OSError as error:
        _say("no NVS: " + repr(error))
        return Copies(None, _say)


def _is_open(kept: Keepsakes) -> bool:
    """Whether there are files; False to reset and try again."""
    flash = esp32.Partition.find(esp32.Partition.TYPE_DATA, label=_LABEL)
    storage = Storage(flash[0] if flash else None, vfs, kept, "/", _say)
    cause = machine.reset_cause()
    try:
        return storage.open(
            hung=cause == machine.WDT_RESET, quick=cause == machine.DEEPSLEEP_RESET
        )
    except Exception as error:  # noqa: BLE001 - whatever it is, the node is to talk
        _say("failed: " + repr(error))
    if not kept.key_there:
        storage.open_in_memory()
    return True


def _begin() -> None:
    kept = Keepsakes(_copies(), "/", _say)
    if kept.key_kept:
        # A mount that hangs, a main.py that fails, a prompt that nobody asked for: all end.
        machine.WDT(timeout=_WATCHDOG_MS)
    if not _is_open(kept):
        time.sleep(_PAUSE_S)
        machine.reset()
    if kept.key_there:
        # Files that somebody left in flash must not take the place of what is frozen.
        sys.path[:] = [".frozen"]
    gc.collect()


_begin()
