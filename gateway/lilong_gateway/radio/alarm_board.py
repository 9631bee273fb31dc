"""Alarms that were heard in advertisements: handed to the store, and awaited in a connection."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

from lilong_gateway.clock import UNIX_2000_MS, Clock
from lilong_gateway.ingest import Ingest
from lilong_gateway.logs import pairs
from lilong_gateway.radio.judge import Heard
from lilong_gateway.store.notices import CONFIRMED
from lilong_gateway.store.records import Notice, Noticed, Relief

LISTED = 100
"""Alarms on the board, the latest ones; those that are still awaited stay longest."""

_AGAIN_MS = 60_000
"""How long a node may repeat the same alarm before the store is asked about it once more."""

_LATE_MS = 60_000
_LINES = 12
_LINES_MS = 60_000
"""So many alarms of one node are logged in that time: one that flaps must not flood the log."""

_LOG = logging.getLogger(__name__)
_What = tuple[int, int, bool]


@dataclass(slots=True)
class Counters:
    """Since the start of the process. gone: settled without the batch; late: for 60 s awaited."""

    noticed: int = 0
    confirmed: int = 0
    gone: int = 0
    late: int = 0


@dataclass(slots=True)
class _Entry:
    """A notice; heard_ms is on the steady clock, None if an earlier run heard it."""

    notice: Noticed
    heard_ms: int | None
    listed_ms: int
    late: bool = False


@dataclass(slots=True)
class _Alarm:
    """The alarm that a node told of last: its channel, low bits and whether it is raised."""

    what: _What
    heard_ms: int
    offered_ms: int
    waits: bool = True
    """It has a place in the queue of the store."""


@dataclass(slots=True)
class _Lines:
    since_ms: int
    count: int = 0


class AlarmBoard:
    """Give it all that is heard, also what is repeated: that costs next to nothing."""

    def __init__(self, ingest: Ingest, clock: Clock) -> None:
        self.counters = Counters()
        self._ingest = ingest
        self._clock = clock
        self._entries: dict[int, _Entry] = {}
        self._last: dict[bytes, _Alarm] = {}
        self._lines: dict[bytes, _Lines] = {}
        ingest.follow(self._take)

    @property
    def awaited(self) -> list[bytes]:
        """The nodes of alarms whose batches have not come, the oldest alarm first."""
        found = [entry.notice.eui for entry in self._entries.values() if _is_open(entry)]
        return list(dict.fromkeys(found))

    def recall(self, notices: Iterable[Noticed]) -> None:
        """Take over what the store holds from an earlier run."""
        for notice in notices:
            if notice.id not in self._entries:
                self._list(_Entry(notice, None, self._clock.steady_ms()))

    def hear(self, heard: Heard, adapter: str, rssi: int | None) -> None:
        """Hand a new alarm to the store, or that a node holds none any more."""
        if heard.told.alarm:
            self._hear_alarm(heard, adapter, rssi)
        elif heard.fresh:
            self._last.pop(heard.eui, None)
            if heard.eui in self.awaited and self._ingest.trouble is None:
                self._ingest.offer(Relief(heard.eui), _nothing)

    def look(self) -> None:
        """Say which alarms are awaited for too long; once of each."""
        now_ms = self._clock.steady_ms()
        for entry in self._entries.values():
            if _is_open(entry) and not entry.late and now_ms - entry.listed_ms >= _LATE_MS:
                entry.late = True
                self.counters.late += 1
                self._log("alarm unconfirmed", entry.notice)

    def status(self) -> list[dict[str, object]]:
        """Return the latest alarms, the oldest first; times in ms since 1970."""
        return [
            {
                "eui": notice.eui.hex(),
                "channel": notice.channel,
                "raised": notice.raised,
                "heard_ms": _unix_ms(notice.heard_ms),
                "confirmed_ms": _unix_ms(
                    notice.settled_ms if notice.outcome == CONFIRMED else None
                ),
                "outcome": notice.outcome,
            }
            for notice in (entry.notice for entry in self._entries.values())
        ]

    def _hear_alarm(self, heard: Heard, adapter: str, rssi: int | None) -> None:
        told, now_ms = heard.told, self._clock.steady_ms()
        what = told.channel, told.seq, told.raised
        alarm = self._last.get(heard.eui)
        if alarm is None or alarm.what != what:
            alarm = _Alarm(what, now_ms, now_ms)
        elif alarm.waits or now_ms - alarm.offered_ms < _AGAIN_MS:
            return
        notice = Notice(
            *(heard.eui, heard.key, heard.counter, told.channel, told.seq, told.raised),
            *(self._clock.wall_ms(), rssi, adapter),
        )
        if self._ingest.offer(notice, partial(_has_left, alarm)):
            alarm.offered_ms, alarm.waits = now_ms, True
            self._last[heard.eui] = alarm
            if self._ingest.trouble is not None:
                self._log("alarm heard and not yet stored", notice)

    def _take(self, notice: Noticed) -> None:
        """Follow the store."""
        now_ms = self._clock.steady_ms()
        if notice.outcome is None:
            alarm = self._last.get(notice.eui)
            heard_ms = now_ms
            if alarm is not None and alarm.what == _what(notice):
                heard_ms = alarm.heard_ms
            self.counters.noticed += 1
            self._list(_Entry(notice, heard_ms, now_ms))
            self._log("alarm heard", notice)
            return
        entry = self._entries.get(notice.id)
        if entry is None:
            entry = _Entry(notice, None, now_ms)
        entry.notice = notice
        self._list(entry)
        if notice.outcome == CONFIRMED:
            self.counters.confirmed += 1
            after_ms = _latency_ms(entry, now_ms)
            self._log("alarm confirmed", notice, after_ms=after_ms)
        else:
            self.counters.gone += 1
            self._log("alarm no longer held by its node", notice)

    def _list(self, entry: _Entry) -> None:
        self._entries[entry.notice.id] = entry
        if len(self._entries) > LISTED:
            settled = (number for number, other in self._entries.items() if not _is_open(other))
            del self._entries[next(settled, next(iter(self._entries)))]

    def _log(self, what: str, notice: Notice | Noticed, **more: object) -> None:
        now_ms = self._clock.steady_ms()
        lines = self._lines.get(notice.eui)
        if lines is None or now_ms - lines.since_ms >= _LINES_MS:
            lines = self._lines[notice.eui] = _Lines(now_ms)
        lines.count += 1
        if lines.count <= _LINES:
            fields = pairs(
                eui=notice.eui, channel=notice.channel, raised=int(notice.raised), **more
            )
            _LOG.warning("%s %s", what, fields)
        elif lines.count == _LINES + 1:
            _LOG.warning("alarms not logged for a minute %s", pairs(eui=notice.eui))


def _what(notice: Noticed) -> _What:
    return notice.channel, notice.seq & 0xFF, notice.raised


def _is_open(entry: _Entry) -> bool:
    return entry.notice.outcome is None


def _has_left(alarm: _Alarm) -> None:
    alarm.waits = False


def _nothing() -> None:
    pass


def _unix_ms(wall_ms: int | None) -> int | None:
    return None if wall_ms is None else wall_ms + UNIX_2000_MS


def _latency_ms(entry: _Entry, now_ms: int) -> int | None:
    """From hearing to the commit of the batch; over a restart by the wall, if it was set."""
    if entry.heard_ms is not None:
        return now_ms - entry.heard_ms
    notice = entry.notice
    if notice.heard_ms is None or notice.settled_ms is None:
        return None
    return max(0, notice.settled_ms - notice.heard_ms)
