"""The first half of a start: what is read from settings and flash, and what the board opens.

Its code and that of what it alone needs is gone before the second half, the assembly, is loaded.
"""

from lilong_firmware.boot import next_boot_id
from lilong_firmware.configuration import Configuration
from lilong_firmware.crash import CLOCK_WRONG
from lilong_firmware.errors import FirmwareError
from lilong_firmware.introduction import absent_channels, describe_node, health_channels
from lilong_firmware.journal import Journal
from lilong_firmware.node import Prepared
from lilong_firmware.settings import read_settings
from lilong_firmware.source import open_source
from lilong_protocol.portable import TYPE_CHECKING, const

if TYPE_CHECKING:
    from lilong_firmware.ble.radio import Radio
    from lilong_firmware.board import Board
    from lilong_firmware.clock import Clock
    from lilong_firmware.collection import Source
    from lilong_firmware.crash import CrashNotes
    from lilong_firmware.protection import Protection
    from lilong_firmware.settings import Running, Sampling, Settings
    from lilong_firmware.sleep.probe import OpenProbe
    from lilong_firmware.sleep.waking import Waking
    from loader import Boot

_SETTINGS = const("settings.json")
_EARLY_CRASHES = const(3)
_HOUR_MS = const(3600000)


def prepare(
    board: "Board",
    boot: "Boot",
    clock: "Clock",
    notes: "CrashNotes",
    waking: "Waking | None" = None,
    probe: "OpenProbe | None" = None,
) -> Prepared:
    """Read settings and flash, open what the node talks and measures with."""
    prepared = Prepared()
    prepared.waking, prepared.probe = waking, probe
    prepared.board, prepared.boot = board, boot
    prepared.clock, prepared.notes = clock, notes
    prepared.configuration = Configuration(_SETTINGS, board.log)
    settings = read_settings(_SETTINGS, board.eui())
    prepared.eui = settings.eui
    prepared.boot_id = _boot_id(board, waking)
    prepared.watchdog = board.watchdog(settings.running.watchdog_ms)
    board.measure_supply(settings.running)
    prepared.protection = _protection(settings.sampling, board)
    prepared.cause = notes.explain(board.reset_cause())
    if prepared.cause == CLOCK_WRONG:
        # Two gateways that do not agree must not make the node start again and again.
        clock.discipline.patience_ms = _HOUR_MS
    # Before anything large: what it needs is memory in one piece.
    prepared.radio = _open_radio(settings, board)
    prepared.journal = Journal(board.journal_flash(settings.running.journal_bytes), board.random)
    prepared.uart = None
    if prepared.radio is None:
        prepared.uart = board.uart(settings.running, settings.usual)
    _take_running(prepared, settings.running)
    own = health_channels(absent_channels(board)) if prepared.health_ms else []
    prepared.descriptor, prepared.told = describe_node(settings.sampling, own)
    _take_sampling(prepared, settings)
    return prepared


def _protection(sampling: "Sampling | None", board: "Board") -> "Protection | None":
    if sampling is None or sampling.rules is None:
        return None
    from lilong_firmware.protection import Protection  # noqa: PLC0415 - for nodes with rules

    return Protection(sampling.rules, sampling, board)


def _open_radio(settings: "Settings", board: "Board") -> "Radio | None":
    """Return None for a node on a line, which one without a usable radio becomes."""
    if not settings.running.ble:
        return None
    try:
        from lilong_firmware.ble.radio import Radio  # noqa: PLC0415 - not every image can load it

        return Radio(settings.eui)
    except Exception as error:  # noqa: BLE001 - whatever the radio's stack says, the node talks
        board.log("ble: " + repr(error) + "; the UART is used")
        return None


def _boot_id(board: "Board", waking: "Waking | None") -> int:
    """A boot goes on over deep sleep."""
    return next_boot_id("boot.txt", board.random) if waking is None else waking.boot_id


def _take_running(prepared: Prepared, running: "Running") -> None:
    prepared.version = running.version
    prepared.patience = running.patience
    prepared.trace = running.trace
    prepared.stop_file = running.stop_file if prepared.board.may_stop else ""
    prepared.health_ms = running.health_ms
    prepared.advert_ms = running.advert_ms


def _take_sampling(prepared: Prepared, settings: "Settings") -> None:
    sampling = settings.sampling
    prepared.silent = prepared.notes.early >= _EARLY_CRASHES
    prepared.sleep, prepared.time_exponents = None, {}
    prepared.source = _source(prepared, settings)
    prepared.batch = (0, 0)
    prepared.states = ()
    prepared.exit_at_end = False
    if sampling is not None:
        prepared.batch = (sampling.batch_readings, sampling.batch_ms)
        prepared.states = tuple(sampling.states)
        replay = sampling.sensor.replay
        prepared.exit_at_end = replay is not None and replay.exit_at_end


def _source(prepared: Prepared, settings: "Settings") -> "Source | None":
    log = prepared.board.log
    sampling = settings.sampling
    if settings.problem is not None:
        log(str(settings.problem))
    if prepared.boot.recovery:
        log("sensors stay off in recovery")
        return None
    if prepared.silent:
        log("sensors stay off: the last boots ended early, see crash.txt")
    if sampling is None:
        return None
    if settings.sleep is not None:
        prepared.sleep = settings.sleep
        prepared.time_exponents = {c.number: c.time_exponent for c in sampling.channels}
    elif not prepared.silent:
        try:
            return open_source(sampling, prepared.clock, prepared.boot_id, prepared.journal, log)
        except FirmwareError as problem:
            log(str(problem))
    return None
