"""What a driver is: one file here, with one public class.

The class says what it needs and what it gives; the constructor takes its bus and its options and
touches no hardware. `measure` initialises the chip when due, also after it was away, and
raises nothing but OSError (nobody answers) and SensorError. A driver that notices by itself has
`watch` too, which calls `changed` when a measurement must be taken now. STUCK_S, where it has it,
is after how many seconds of the very same values a sensor with noise must be stuck; UART are
the usual settings of its line.

The docstring of the module tells people what they must know, in the fields Datasheet, Wiring,
Options, Limits and Power; docs/drivers.md is made from it. It takes no room on the device.
"""

from lilong_protocol.portable import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any, Protocol

    from lilong_firmware.devices.quantity import Quantity
    from lilong_firmware.fields import Fields

    class Driver(Protocol):
        """Measures when asked."""

        BUS: str
        GIVES: "tuple[Quantity, ...]"

        def __init__(self, bus: "Any", options: "Fields") -> None:
            """Check the options, SettingsError; touch nothing."""

        async def measure(self) -> "list[int | None]":
            """Return a value for each of GIVES, None for one that is not there now."""
