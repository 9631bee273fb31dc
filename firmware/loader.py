"""Decides which application runs after a reset, and starts it under the watchdog.

Part of the base: it imports nothing of lilong before the slot is chosen, so that all of it comes
from there. An application gets a Boot; what that offers only grows.
"""

import os
import sys
import time

import machine

from bootstate import BASE, CONFIRMED, NO_TRIAL, ROLLED_BACK, TRYING, UNUSABLE, BootState

# The type checker's name; the constant of lilong_protocol is not to be had here.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    import esp32
else:
    try:
        import esp32
    except ImportError:
        esp32 = None

FOLDERS = ("", "a", "b")
"""Slots by their number; the base has no folder."""

_NAMES = ("the base", "slot a", "slot b")
_TRIES = 3
_EARLY_ENDS = 5
_RECOVERY_BOOTS = 10
_POWER_ON = 1
_DEEP_SLEEP = 4
_WATCHDOG_MS = 60000
_PAUSE_S = 1


class Boot:
    """What runs, and what its application may decide about later boots.

    The methods return False when flash refused; nothing has changed then.
    """

    def __init__(self, state: BootState, slot: int, *, trial: bool, recovery: bool) -> None:
        self._state = state
        self.slot = slot
        self.trial = trial
        self.recovery = recovery
        self.returned = False
        """Whether an update was given up just now: how boots ended before says nothing of this."""
        self.sequence: int = state.trial_sequence if trial else state.sequences[slot]

    @property
    def confirmed(self) -> int:
        """The slot that runs when nothing is on trial."""
        return self._state.confirmed

    @property
    def confirmed_sequence(self) -> int:
        """The sequence of that slot: the one that wrote what is in flash."""
        return self._state.sequences[self._state.confirmed]

    @property
    def highest(self) -> int:
        """The highest sequence that was ever confirmed."""
        return self._state.highest

    @property
    def result(self) -> int:
        """What became of the last update: one of bootstate's results."""
        return self._state.result

    @property
    def result_sequence(self) -> int:
        """The sequence of the last update."""
        return self._state.result_sequence

    def settle(self) -> bool:
        """Forget early ends: this boot is good, or ends on purpose. A trial still counts."""
        if self._state.failures == 0:
            return True
        self._state.failures = 0
        return self._state.save()

    def keep(self) -> None:
        """Copy to NVS what must outlive the file system, as far as the chip has one."""
        try:
            from copies import NAMESPACE, Copies  # noqa: PLC0415 - after a new key alone

            copies = Copies(esp32.NVS(NAMESPACE), _say)
        except (ImportError, AttributeError, OSError):
            return
        from keepsakes import Keepsakes  # noqa: PLC0415

        Keepsakes(copies, "", _say).save()

    def begin_trial(self, slot: int, sequence: int, label: bytes = b"") -> bool:
        """Let the next boots try a slot; `label` names the partition where an image is."""
        state = self._state
        state.trial, state.trial_sequence, state.label = slot, sequence, label
        state.tries = state.failures = 0
        state.result, state.result_sequence = TRYING, sequence
        return state.save()

    @property
    def busy(self) -> bool:
        """Whether anything is on trial, or waits for its turn."""
        return self._state.trial != NO_TRIAL

    def abandon_trial(self) -> bool:
        """Take begin_trial back."""
        self._state.trial, self._state.label = NO_TRIAL, b""
        self._state.result = UNUSABLE
        return self._state.save()

    def confirm(self) -> bool:
        """Keep what is on trial for good."""
        state = self._state
        if state.label and not _mark_valid():
            return False
        slot, sequence = self.slot, self.sequence
        state.confirmed, state.sequences[slot] = slot, sequence
        state.highest = max(state.highest, sequence)
        state.trial, state.label = NO_TRIAL, b""
        state.tries = state.failures = 0
        state.result, state.result_sequence = CONFIRMED, sequence
        if not state.save():
            return False
        self.trial = False
        return True


class Loader:
    """Runs once in a boot. `watchdog_ms` must be enough for an import of the application."""

    def __init__(self, watchdog_ms: int = _WATCHDOG_MS) -> None:
        self._state = BootState()
        self._partition = _partition()
        self._watchdog_ms = watchdog_ms

    def run(self, start: "Callable[[Boot], None] | None" = None) -> None:
        """Run the application of the slot whose turn it is; return at its orderly end.

        `start` takes the place of the slot's own lilong_firmware.start.run.
        """
        boot = self.choose()
        if _is_there("key.bin"):
            # A person may work at the prompt of a node that was never provisioned.
            machine.WDT(timeout=self._watchdog_ms)
        try:
            run = start or _imported(boot.slot)
        except Exception as error:  # noqa: BLE001 - whatever the slot's code raises
            self._give_up(boot, error)
            return
        try:
            run(boot)
        except Exception as error:  # noqa: BLE001 - the prompt would wait for a person
            _say(_NAMES[boot.slot] + " failed: " + repr(error))
            _restart()

    def choose(self) -> Boot:
        """Decide, count the try where it has to survive whatever comes, and say so."""
        if self._state.damaged:
            _say("boot.bin is damaged: the base runs")
        busy = self._state.trial != NO_TRIAL
        if machine.reset_cause() == _DEEP_SLEEP and not busy:
            return self._awoken()
        boot = self._trial() or self._usual()
        boot.returned = busy and not boot.trial
        return boot

    def _awoken(self) -> Boot:
        """A wake goes on with the boot before: it counts nothing, writes nothing, says nothing."""
        recovery = self._state.failures > _EARLY_ENDS
        slot = BASE if recovery else self._state.confirmed
        return Boot(self._state, slot, trial=False, recovery=recovery)

    def _trial(self) -> "Boot | None":
        state = self._state
        if state.trial == NO_TRIAL:
            return None
        if state.label and self._partition != state.label:
            self._end_trial(ROLLED_BACK, "the bootloader took the image before it")
            return None
        if state.tries >= _TRIES:
            self._end_trial(ROLLED_BACK, "not confirmed in " + str(_TRIES) + " tries")
            return None
        state.tries += 1
        if not state.save():
            _say("flash refused to count the try of an update: not now")
            return None
        boot = Boot(state, state.trial, trial=True, recovery=False)
        what = _NAMES[boot.slot] + ", sequence " + str(boot.sequence)
        _say(what + ": try " + str(state.tries) + " of " + str(_TRIES))
        return boot

    def _usual(self) -> Boot:
        state = self._state
        if machine.reset_cause() == _POWER_ON or state.failures >= _EARLY_ENDS + _RECOVERY_BOOTS:
            state.failures = 0
        state.failures += 1
        early = state.failures
        recovery = early > _EARLY_ENDS
        if not state.save():
            _say("flash refused to count this boot")
        boot = Boot(state, BASE if recovery else state.confirmed, trial=False, recovery=recovery)
        if recovery:
            _say(_NAMES[state.confirmed] + " ended early or failed too often: recovery")
        else:
            _say(_NAMES[boot.slot] + ", sequence " + str(boot.sequence))
        return boot

    def _give_up(self, boot: Boot, error: Exception) -> None:
        """The slot cannot be imported: the next boot is another's."""
        _say(_NAMES[boot.slot] + " cannot be imported: " + repr(error))
        show = getattr(sys, "print_exception", None)
        if show is not None:
            show(error)
        if boot.trial:
            self._end_trial(UNUSABLE, "it cannot be imported")
        else:
            self._state.failures = max(self._state.failures, _EARLY_ENDS)
            self._state.save()
        _restart()

    def _end_trial(self, result: int, why: str) -> None:
        state = self._state
        stays = bool(state.label) and state.label == self._partition
        _say(
            "sequence " + str(state.trial_sequence) + " is given up: " + why + "; "
            "back to sequence " + str(state.sequences[state.confirmed])
        )
        state.trial, state.label = NO_TRIAL, b""
        state.tries = 0
        state.result, state.result_sequence = result, state.trial_sequence
        if not state.save():
            _say("flash refused the end of the trial")
        if stays:
            # A bootloader without rollback would start it for ever.
            _running().get_next_update().set_boot()
            _restart()


def _imported(slot: int) -> "Callable[[Boot], None]":
    """Return what starts the slot's application, imported from nowhere else."""
    folder = FOLDERS[slot]
    if folder:
        if not _is_there(folder + "/lilong_firmware"):
            raise ImportError("the folder " + folder + " holds no application")
        sys.path.insert(0, folder)
    from lilong_firmware.start import run  # noqa: PLC0415 - only now it is known from where

    return run


def _partition() -> bytes:
    """Return the label of the partition that runs, nothing where there are none."""
    if esp32 is None:
        return b""
    return str(_running().info()[4]).encode()


def _running() -> "esp32.Partition":
    # The stubs know names of partitions alone.
    return esp32.Partition(esp32.Partition.RUNNING)  # type: ignore[arg-type]


def _mark_valid() -> bool:
    """Tell the bootloader that this image is to stay."""
    try:
        esp32.Partition.mark_app_valid_cancel_rollback()
    except OSError as error:
        _say("the bootloader does not keep the image: " + repr(error))
        return False
    return True


def _is_there(path: str) -> bool:
    try:
        os.stat(path)
    except OSError:
        return False
    return True


def _say(text: str) -> None:
    sys.stdout.write("loader: " + text + "\n")


def _restart() -> None:
    """Start again, not so fast that a loop would hide what is said."""
    time.sleep(_PAUSE_S)
    machine.reset()
