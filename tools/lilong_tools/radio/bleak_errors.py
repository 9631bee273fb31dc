"""What Bumble raises, as bleak's errors: with BlueZ's names, which programs on Linux look for."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from bleak.exc import (
    BleakBluetoothNotAvailableError,
    BleakBluetoothNotAvailableReason,
    BleakDBusError,
    BleakError,
    BleakGATTProtocolError,
)
from bumble import core, hci
from bumble.att import ATT_Error
from bumble.transport.common import TransportLostError

_FAILED = "org.bluez.Error.Failed"
_IN_PROGRESS = "org.bluez.Error.InProgress"
_CODES = hci.HCI_ErrorCode
_TEXTS = {
    _CODES.CONNECTION_FAILED_TO_BE_ESTABLISHED_ERROR: "le-connection-abort-by-local",
    _CODES.CONNECTION_TERMINATED_BY_LOCAL_HOST_ERROR: "le-connection-abort-by-local",
    _CODES.REMOTE_USER_TERMINATED_CONNECTION_ERROR: "le-connection-abort-by-remote",
    _CODES.CONNECTION_ALREADY_EXISTS_ERROR: "le-connection-already-connected",
    _CODES.CONNECTION_TIMEOUT_ERROR: "le-connection-timeout",
    _CODES.CONNECTION_LIMIT_EXCEEDED_ERROR: "le-connection-concurrent-connection-limit",
}


def in_progress() -> BleakError:
    """Return what BlueZ says while the same thing is being done already."""
    return BleakDBusError(_IN_PROGRESS, ["Operation already in progress"])


def failed(text: str) -> BleakError:
    """Return BlueZ's error for all that has no name of its own."""
    return BleakDBusError(_FAILED, [text])


def adapter_gone(name: str) -> BleakError:
    """Return what bleak raises for an adapter that is not there."""
    reason = BleakBluetoothNotAvailableReason.NO_BLUETOOTH
    return BleakBluetoothNotAvailableError(f"adapter '{name}' not found", reason)


def from_status(status: int) -> BleakError:
    """Return the error for an HCI status (Core 5.4, Vol 1, Part F)."""
    if status in {_CODES.COMMAND_DISALLOWED_ERROR, _CODES.CONTROLLER_BUSY_ERROR}:
        return in_progress()
    known = [text for code, text in _TEXTS.items() if code == status]
    return failed(known[0] if known else f"le-connection-failed (0x{status:02x})")


@contextmanager
def as_bleak(adapter: str) -> Iterator[None]:
    """Raise bleak's errors for Bumble's.

    Bumble cancels what waits on a link that ends; only a task that was really cancelled goes on
    to be so.
    """
    try:
        yield
    except ATT_Error as error:
        raise BleakGATTProtocolError(error.error_code) from error
    except (core.ConnectionError, hci.HCI_Error) as error:
        raise from_status(error.error_code or 0) from error
    except (TransportLostError, OSError) as error:
        raise adapter_gone(adapter) from error
    except core.BaseBumbleError as error:
        raise failed(str(error) or type(error).__name__) from error
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        raise BleakError("Not connected") from error
