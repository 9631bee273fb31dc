"""What nodes measured and were acknowledged, against what the city holds: one checker for all."""

from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal

from paper_node import UNIX_2000_MS

from lilong_tools.city.pack import PackError, entries_of, pack_of, split_batch

_SHIFT_2000_S = Decimal(UNIX_2000_MS) / 1000
_SLACK_MS = 30
"""Between the campaign's own two clocks, and for rounding."""


@dataclass
class Verdict:
    """How many batches are wrong in which way; `notes` name the first of them."""

    lost: int = 0
    duplicated: int = 0
    altered: int = 0
    disordered: int = 0
    reordered: int = 0
    excused: int = 0
    batches: int = 0
    repeats: int = 0
    notes: list = field(default_factory=list)

    def note(self, kind, what):
        setattr(self, kind, getattr(self, kind) + 1)
        if len(self.notes) < 12:
            self.notes.append(f"{kind}: {what}"[:400])


def check(street, excusable):
    """Compare everything; excusable are the batches that a damaged file may have held."""
    verdict = Verdict()
    for node in street.nodes:
        found = [pack for _, pack in street.arrivals.packs(node.eui.hex())]
        verdict.batches += len(found)
        for pack in found:
            _check_pack(verdict, node, pack, street.offsets_ms)
        _check_order(verdict, node, found)
    for _ in range(street.arrivals.aside()):
        verdict.note("altered", "a message that the city cannot read")
    _check_repeats(verdict, street)
    _check_missing(verdict, street, excusable)
    return verdict


def missing_of(street, excusable):
    """Return what the city lacks, as (what nothing excuses, what a damage has to account for)."""
    missing = street.acknowledged() - street.held
    return missing - excusable, missing & excusable


def unaccounted(street, missing):
    """Return how many of these batches the gateway has not counted as destroyed."""
    given_up = street.accounts.given_up()
    each = Counter((eui, stream) for eui, stream, _ in missing)
    rest = sum(max(0, count - given_up[owner]) for owner, count in each.items())
    return max(0, rest - street.accounts.unreadable())


def _check_missing(verdict, street, excusable):
    missing, doubtful = missing_of(street, excusable)
    for eui, stream, seq in sorted(missing):
        verdict.note("lost", f"{eui} {stream}.{seq}")
    uncounted = unaccounted(street, doubtful)
    verdict.excused = len(doubtful) - uncounted
    for index in range(uncounted):
        verdict.note("lost", f"destroyed, and not counted: {sorted(doubtful)[index]} or another")


def _check_order(verdict, node, found):
    """First arrivals rise, in each stream; what comes late from a backlog is a lane of its own.

    A batch that the gateway got after later ones, over a line that lost it at first, may come
    after these.
    """
    last = {}
    for pack in found:
        epoch, stream, seq = split_batch(pack.batch)
        lane = (epoch, stream, getattr(pack, "late", False))
        highest, store, position = last.get(lane, (-1, "", 0))
        if seq > highest:
            last[lane] = (seq, pack.store, pack.position)
        elif pack.store == store and pack.position < position:
            verdict.note("disordered", f"{node.eui.hex()} {pack.batch} after {highest}")
        else:
            verdict.reordered += 1


def _check_repeats(verdict, street):
    """What came again says the same, or dates it anew; another name makes it a double."""
    nodes = {node.eui.hex(): node for node in street.nodes}
    for payload in street.city.seen:
        try:
            found = _read(payload)
        except PackError as error:
            verdict.note("altered", f"unreadable: {error}")
            continue
        for pack in found:
            if pack.eui not in nodes:
                verdict.note("duplicated", f"a node that there is not: {pack.eui}")
            else:
                _check_pack(verdict, nodes[pack.eui], pack, street.offsets_ms)
    verdict.repeats = street.arrivals.repeats()


def _read(payload):
    """Read all batches of a message: each begins with a record that names it."""
    groups = []
    for entry in entries_of(payload):
        if "batch" in entry or not groups:
            groups.append([])
        groups[-1].append(entry)
    return [pack_of(group) for group in groups]


def _check_pack(verdict, node, pack, offsets_ms):
    epoch, stream, seq = split_batch(pack.batch)
    measured = node.made.get((stream, seq)) if epoch == node.journal.epoch else None
    if measured is None:
        verdict.note("duplicated", f"{node.eui.hex()} never made {pack.batch}")
        return
    problem = _problem(node, measured, pack, offsets_ms)
    if problem:
        verdict.note("altered", f"{node.eui.hex()} {pack.batch}: {problem}")


def _problem(node, measured, pack, offsets_ms):
    """Say in what a pack differs from what was measured, "" for nothing."""
    if measured.boot is None:
        shift = _SHIFT_2000_S
        if pack.quality != "synced":
            return f"its times are exact, and called {pack.quality}"
    else:
        first = min(record.time for record in pack.records)
        shift = first - Decimal(min(measured.times)) / 1000
        problem = _misdated(node, measured, pack.quality, int(shift * 1000), offsets_ms)
        if problem:
            return problem
    told = sorted((one.name, one.unit, one.time, one.value) for one in pack.records)
    if told == measured.readings(shift):
        return ""
    return f"{told[:3]} instead of {measured.readings(shift)[:3]}"


def _misdated(node, measured, quality, began_ms, offsets_ms):
    """Say what is wrong with the UNIX time that uptime 0 was taken for, "" for nothing."""
    true_ms = node.began_ms[measured.boot]
    wrong_ms = began_ms - true_ms
    if quality == "restamped":
        told = node.epochs.get(measured.boot)
        if told is None or told[0] + UNIX_2000_MS != began_ms:
            return f"restamped by {began_ms}, the node knows {told}"
        slack_ms = told[1] + _SLACK_MS
        if any(abs(wrong_ms - offset_ms) <= slack_ms for offset_ms in offsets_ms):
            return ""
        return f"restamped wrong by {wrong_ms} ms, {told[1]} ms are stated"
    if quality != "bounded":
        return f"its times are those of a boot, and called {quality}"
    if wrong_ms < min(offsets_ms) - _SLACK_MS:
        return f"bounded {-wrong_ms} ms too early"
    return ""
