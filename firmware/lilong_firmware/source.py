"""Opens what the settings measure with; only its own code is loaded."""

from lilong_protocol.frame import DATA_STREAM
from lilong_protocol.portable import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from lilong_firmware.clock import Clock
    from lilong_firmware.collection import Source
    from lilong_firmware.journal import Journal
    from lilong_firmware.settings import Sampling


def open_source(
    sampling: "Sampling",
    clock: "Clock",
    boot_id: int,
    journal: "Journal",
    log: "Callable[[str], None]",
) -> "Source":
    """Return the source of rows. FirmwareError when there is no such thing.

    One that has a `run` is to be run as a duty.
    """
    setting = sampling.sensor
    if setting.replay is not None:
        from lilong_firmware.sensors.replay import Replay  # noqa: PLC0415 - see above

        return Replay(setting.replay, sampling.measured, journal.mark(DATA_STREAM), log)
    if sampling.setup is not None:
        from lilong_firmware.devices.instruments import Instruments  # noqa: PLC0415 - see above

        return Instruments(sampling.setup, sampling.measured, clock, boot_id, log)
    from lilong_firmware.sampler import Sampler  # noqa: PLC0415 - see above
    from lilong_firmware.sensors.catalogue import build_sensor  # noqa: PLC0415 - see above

    sensor = build_sensor(setting.kind, sampling.seed, setting.speed, setting.start_hour)
    return Sampler(sensor, sampling.measured, clock, boot_id, log)
