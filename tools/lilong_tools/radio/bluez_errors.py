"""The errors with which bluetoothd answers a D-Bus call (BlueZ, doc/org.bluez.*.rst, src/error.c).

BluezError(name, text)
"""

import asyncio
import contextlib
from collections.abc import Iterator

from bumble.att import ATT_Error, ErrorCode
from bumble.core import BaseBumbleError
from bumble.core import TimeoutError as LinkTimeoutError

_PREFIX = "org.bluez.Error."
_BROKEN = "Operation failed"


class BluezError(Exception):
    """An error reply: its D-Bus name and its text, both of which bleak reads."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(f"{name}: {text}")
        self.name = name
        self.text = text


def failed(text: str) -> BluezError:
    """Give org.bluez.Error.Failed; the text says what failed."""
    return BluezError(f"{_PREFIX}Failed", text)


def in_progress() -> BluezError:
    """Give org.bluez.Error.InProgress: one of these is enough at a time."""
    return BluezError(f"{_PREFIX}InProgress", "Operation already in progress")


def not_ready() -> BluezError:
    """Give org.bluez.Error.NotReady: the adapter is not powered."""
    return BluezError(f"{_PREFIX}NotReady", "Resource Not Ready")


def not_connected() -> BluezError:
    """Give org.bluez.Error.NotConnected."""
    return BluezError(f"{_PREFIX}NotConnected", "Not Connected")


def not_supported() -> BluezError:
    """Give org.bluez.Error.NotSupported."""
    return BluezError(f"{_PREFIX}NotSupported", "Operation is not supported")


def not_permitted(text: str) -> BluezError:
    """Give org.bluez.Error.NotPermitted."""
    return BluezError(f"{_PREFIX}NotPermitted", text)


def does_not_exist() -> BluezError:
    """Give org.bluez.Error.DoesNotExist."""
    return BluezError(f"{_PREFIX}DoesNotExist", "Does Not Exist")


def of_attribute(code: int) -> BluezError:
    """Give what bluetoothd makes of an ATT error (src/gatt-client.c, create_gatt_dbus_error)."""
    known = {
        ErrorCode.READ_NOT_PERMITTED: ("NotPermitted", "Read not permitted"),
        ErrorCode.WRITE_NOT_PERMITTED: ("NotPermitted", "Write not permitted"),
        ErrorCode.INSUFFICIENT_AUTHENTICATION: ("NotPermitted", "Not paired"),
        ErrorCode.INSUFFICIENT_ENCRYPTION: ("NotPermitted", "Not paired"),
        ErrorCode.INVALID_OFFSET: ("InvalidArguments", "Invalid offset"),
        ErrorCode.INVALID_ATTRIBUTE_LENGTH: ("InvalidArguments", "Invalid Length"),
        ErrorCode.INSUFFICIENT_AUTHORIZATION: ("NotAuthorized", "Operation Not Authorized"),
        ErrorCode.REQUEST_NOT_SUPPORTED: ("NotSupported", "Operation is not supported"),
    }
    for each, (name, text) in known.items():
        if each == code:
            return BluezError(_PREFIX + name, text)
    return failed(f"Operation failed with ATT error: 0x{code:02x}")


@contextlib.contextmanager
def answering() -> Iterator[None]:
    """Turn what an ATT request can end with in Bumble into BluezError.

    Bumble cancels a request whose link is lost, which must not pass for a cancelled task.
    """
    try:
        yield
    except ATT_Error as error:
        raise of_attribute(error.error_code) from error
    except LinkTimeoutError as error:
        raise of_attribute(ErrorCode.UNLIKELY_ERROR) from error
    except BaseBumbleError as error:
        raise failed(_BROKEN) from error
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        raise failed(_BROKEN) from None
