"""Puts together what stands in a node that sleeps where others have their Collection."""

from lilong_firmware.collection import Shelf
from lilong_firmware.sleep.report import Report
from lilong_firmware.sleep.sleeper import Sleeper
from lilong_protocol.frame import BULK_STREAM
from lilong_protocol.portable import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from lilong_firmware.board import Board
    from lilong_firmware.clock import Clock
    from lilong_firmware.configuration import Configuration
    from lilong_firmware.health import Checkup
    from lilong_firmware.journal import Journal
    from lilong_firmware.restart import Restart
    from lilong_firmware.sleep.probe import OpenProbe
    from lilong_firmware.sleep.settings import SleepSettings
    from lilong_firmware.sleep.waking import Waking
    from lilong_firmware.trace import Trace
    from lilong_protocol.node_session import NodeSession
    from loader import Boot


def build_sleeper(
    settings: "SleepSettings",
    exponents: "dict[int, int]",
    batch_readings: int,
    board: "Board",
    boot: "Boot",
    clock: "Clock",
    boot_id: int,
    session: "NodeSession",
    journal: "Journal",
    trace: "Trace",
    wake: "asyncio.Event",
    waking: "Waking | None",
    probe: "OpenProbe | None",
    configuration: "Configuration",
    restart: "Restart",
) -> Sleeper:
    """Return it; it does not sleep while something is on trial or the node is to restart."""

    def busy() -> bool:
        trial = boot.trial or boot.busy or configuration.trying
        return trial or restart.under_way or restart.wanted is not None

    return Sleeper(
        settings,
        exponents,
        batch_readings,
        board,
        boot,
        clock,
        boot_id,
        session,
        journal,
        trace,
        wake,
        waking,
        probe,
        busy,
    )


def add_report(
    sleeper: Sleeper,
    checkup: "Checkup",
    numbers: "list[int]",
    interval_ms: int,
    boot_id: int,
    journal: "Journal",
    trace: "Trace",
    wake: "asyncio.Event",
    log: "Callable[[str], None]",
) -> None:
    """Let it tell of the node itself too: the channels `numbers`, once in `interval_ms`."""
    shelf = Shelf(journal, trace, wake, log, BULK_STREAM)
    sleeper.report = Report(checkup.health, numbers, interval_ms, boot_id, shelf, log)
    sleeper.others.append(checkup.collection)
