"""The duty of a node that sleeps, once the whole of it runs: deliver, and sleep again."""

import asyncio

from lilong_firmware.errors import FirmwareError
from lilong_firmware.sleep.cupboard import Cupboard
from lilong_firmware.sleep.nap import early_ms, is_full, sleep, strike, take_round
from lilong_firmware.sleep.probe import open_probe, read_fields
from lilong_firmware.sleep.retained import Retained
from lilong_firmware.sleep.state import KNOWN, QUIET, RATED, State
from lilong_protocol.portable import TYPE_CHECKING, const

if TYPE_CHECKING:
    from collections.abc import Callable

    from lilong_firmware.board import Board
    from lilong_firmware.clock import Clock
    from lilong_firmware.collection import Collection
    from lilong_firmware.journal import Journal
    from lilong_firmware.sleep.probe import OpenProbe, Probe
    from lilong_firmware.sleep.report import Report
    from lilong_firmware.sleep.settings import SleepSettings
    from lilong_firmware.sleep.waking import Waking
    from lilong_firmware.supervision import Duty
    from lilong_firmware.trace import Trace
    from lilong_protocol.node_session import NodeSession
    from loader import Boot

_LOOK_S = 0.05
_REQUEST_MS = const(5000)
_MOST_FAILURES = const(255)
_SETTINGS = "settings.json"


class Sleeper:
    """Stands where a node that does not sleep has its Collection: run, stop, ended, failed.

    `busy` says whether a sleep would do harm now: something is on trial, or a restart is due.
    `others` are stopped before a sleep, so that what they hold is in the journal. `report` tells
    of the node itself.
    """

    def __init__(
        self,
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
        wake: asyncio.Event,
        waking: "Waking | None",
        probe: "OpenProbe | None",
        busy: "Callable[[], bool]",
    ) -> None:
        self._settings = settings
        self._board = board
        self._boot = boot
        self._clock = clock
        self._boot_id = boot_id
        self._session = session
        self._journal = journal
        self._open_probe = probe or open_probe
        self._busy = busy
        self._probe: Probe | None = None
        self._retained = Retained(board) if waking is None else waking.retained
        self._before = self._retained.state if waking is None else None
        self._state = self._new_state() if waking is None else waking.state
        self._cupboard = Cupboard(
            self._retained, exponents, batch_readings, journal, trace, wake, board.log
        )
        if waking is not None:
            self._state.mark(QUIET, False)  # noqa: FBT003 - the flag's value
        if waking is not None and self._state.has(KNOWN):
            # The first one of the boot is what its own readings refer to.
            session.boot_epoch_ms = self._state.first_offset_ms
        self._begun_ms = clock.uptime_ms()
        self._stay_ms = 0
        self._opened = False
        self._delivered_ms = -1
        self._stopping = False
        self.others: list[Collection] = []
        self.report: Report | None = None
        self.ended = False
        """Whether it takes no more rounds, and has put away what it could."""

    @property
    def failed(self) -> int:
        """Rounds that the sensors did not give or that could not be kept."""
        return self._state.failed

    def silence(self) -> None:
        """Take no rounds before the next whole start."""
        self._state.mark(QUIET, True)  # noqa: FBT003 - the flag's value

    def opened(self) -> None:
        """Take note that a gateway is there; it may leave when it has everything."""
        self._opened = True

    def stay(self) -> None:
        """Stay awake for a while: a gateway asks for something."""
        self._stay_ms = self._clock.uptime_ms() + _REQUEST_MS

    def stop(self) -> None:
        """Take no more rounds, sleep no more, and make durable what was taken."""
        self._stopping = True
        if not self.ended:
            self._put_away()
            self.ended = True

    async def run(self, duty: "Duty") -> None:
        """Deliver, take what is due meanwhile, and sleep: a chip does not return from that."""
        if self._before is not None:
            self._inherit(self._before)
        await self._take_due()
        self._put_away()
        self._tell()
        while not self._stopping:
            duty.beat()
            if self._may_sleep(self._clock.uptime_ms()):
                self._sleep()
            await asyncio.sleep(_LOOK_S)
            await self._take_due()
            if is_full(self._state, self._settings):
                self._put_away()
        self.stop()

    def _new_state(self) -> State:
        """Return the state of a new boot; what the one before knew of the hardware stays."""
        before = self._before
        source = self._new_source() if before is None else before.source
        state = State(self._boot_id, source, self._settings.every_ms)
        state.due_ms = self._clock.uptime_ms()
        if before is not None:
            state.strikes = before.strikes
            state.rate_ppm = before.rate_ppm
            state.spread_ppm = before.spread_ppm
            state.mark(RATED, before.has(RATED))
        return state

    def _new_source(self) -> int:
        """Return a number that no other numbering of readings has; 0 is for none."""
        return int.from_bytes(self._board.random(4), "little") or 1

    def _inherit(self, before: State) -> None:
        """Put away what the boot before could not, by its own clock."""

        def time_ms(uptime_ms: int) -> "int | None":
            return before.offset_ms + uptime_ms if before.has(KNOWN) else None

        self._before = None
        if self._cupboard.put_away(before, time_ms):
            self._state.first = before.first
        else:
            self._state.failed += before.rounds
            self._state.source = self._new_source()
        self._retained.save(self._state)

    def _put_away(self) -> None:
        self._cupboard.put_away(self._state, self._clock.time_ms)

    async def _take_due(self) -> None:
        state = self._state
        soon_ms = self._clock.uptime_ms() + early_ms(self._settings)
        if self._stopping or state.has(QUIET) or soon_ms < state.due_ms:
            return
        try:
            if self._probe is None:
                fields = read_fields(_SETTINGS)
                log = self._board.log
                self._probe = self._open_probe(fields, self._clock, self._boot_id, log)
            await take_round(state, self._probe, self._clock, self._settings)
            state.strikes = 0
        except FirmwareError as problem:
            self._board.log(str(problem))
            self.silence()
        except Exception as error:  # noqa: BLE001 - the node must talk, whatever its sensors do
            self._board.log("wake: " + repr(error))
            strike(state, self._clock.uptime_ms())
        self._retained.save(state)

    def _tell(self) -> None:
        now_ms = self._clock.uptime_ms()
        if self.report is not None and now_ms >= self._state.health_ms:
            self._state.health_ms = now_ms + self.report.interval_ms
            self.report.tell(now_ms)

    def _may_sleep(self, now_ms: int) -> bool:
        """Whether everything is delivered or that took too long, and nobody wants anything."""
        if self._busy() or now_ms < self._stay_ms:
            return False
        if not self._opened or self._journal.held:
            self._delivered_ms = -1
            return now_ms - self._begun_ms >= self._settings.awake_ms
        if self._delivered_ms < 0:
            self._delivered_ms = now_ms
        return now_ms - self._delivered_ms >= self._settings.linger_ms

    def _sleep(self) -> None:
        state = self._state
        for other in self.others:
            other.stop()
        self._journal.settle()
        self._boot.settle()
        failed = self._delivered_ms < 0
        state.failures = min(state.failures + 1, _MOST_FAILURES) if failed else 0
        state.send_ms = self._send_ms(self._clock.uptime_ms())
        first_ms = self._session.boot_epoch_ms
        if first_ms is not None and not state.has(KNOWN):
            state.first_offset_ms = first_ms
        sleep(self._board, self._retained, state, self._clock)

    def _send_ms(self, now_ms: int) -> int:
        """Return when to talk again: together with a round, where one is due before."""
        state, every_ms = self._state, self._settings.every_ms
        send_ms = now_ms + self._settings.again_ms(state.failures)
        if state.has(QUIET) or send_ms < state.due_ms:
            return send_ms
        return send_ms - (send_ms - state.due_ms) % every_ms
