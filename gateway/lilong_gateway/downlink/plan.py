"""Which node gets what, and when: never again what has failed on it, and few nodes at a time."""

import logging
from collections.abc import Iterable, Iterator
from dataclasses import replace

from lilong_gateway.downlink import ledger as outcomes
from lilong_gateway.downlink import push
from lilong_gateway.downlink.goods import Update
from lilong_gateway.downlink.ledger import Ledger
from lilong_gateway.downlink.node_status import REVERTED, NodeStatus
from lilong_gateway.downlink.parcel import SETTINGS, UPDATE, Parcel
from lilong_gateway.downlink.places import Places
from lilong_gateway.downlink.push import Outcome
from lilong_gateway.downlink.shelf import Shelf
from lilong_gateway.logs import pairs
from lilong_gateway.store.records import Attempt

_UNHEARD = "nothing was heard of it for an hour after it was applied"
_IN_VAIN = f"told {outcomes.MOST_TRIES} times to apply it, and nothing came of it"
_NO_GATEWAY = "with it the node found no gateway"
_LOG = logging.getLogger(__name__)


class Plan:
    """Chooses, and learns from what nodes say. Times are those of the steady clock.

    at_once: how many nodes take updates at a time. failures: on how many nodes an update may fail
    before no further one gets it.
    """

    def __init__(self, ledger: Ledger, at_once: int, failures: int) -> None:
        self.shelf = Shelf()
        self.places = Places(at_once)
        self._ledger = ledger
        self._failures = failures
        self._reported: set[bytes] = set()

    def load(self, now_ms: int) -> None:
        """Begin where the ledger ends: who was told to apply an update owes the result."""
        for attempt in self._ledger.all():
            if attempt.what == UPDATE and attempt.outcome in {outcomes.ASKED, outcomes.APPLIED}:
                self.places.applied_by(attempt.eui, attempt.digest, now_ms)

    def is_stopped(self, update: Update) -> bool:
        """Whether an update has failed on too many nodes."""
        count = self._ledger.count(UPDATE, update.parcel.digest, outcomes.FAILED)
        return count >= self._failures

    def heard(self, eui: bytes, status: NodeStatus) -> None:
        """Learn what became of attempts from what the node says."""
        for attempt in [*self._ledger.of(eui), *self._unknown(eui, status)]:
            if attempt.what == UPDATE:
                outcome, why = _update_result(attempt, status)
            else:
                outcome, why = _configuration_result(attempt, status)
            if outcome != attempt.outcome:
                self._settle(attempt, outcome, why)

    def assign(self, eui: bytes, status: NodeStatus, now_ms: int) -> Parcel | None:
        """Return what the node gets now: its configuration before an update, or nothing."""
        self.expire(now_ms)
        if status.is_trying:
            return None
        found = self.shelf.configurations.get(eui)
        differs = found is not None and status.configuration_hash != found.parcel.digest
        if found is not None and differs and self._may_get(eui, found.parcel):
            return found.parcel
        return self._update_for(eui, status, now_ms)

    def euis_to_configure(self) -> list[bytes]:
        """Return the nodes that lack the settings which lie ready for them, as far as is known."""
        configurations = self.shelf.configurations.items()
        return [eui for eui, found in configurations if self._is_open(eui, found.parcel)]

    def euis_awaited(self) -> list[bytes]:
        """Return the nodes that were told to apply an update and owe the result.

        A node that finds no gateway after its restart goes back to what it ran before.
        """
        owing = {outcomes.ASKED, outcomes.APPLIED}
        return [attempt.eui for attempt in self._ledger.all() if attempt.outcome in owing]

    def may_update(self, eui: bytes, status: NodeStatus) -> bool:
        """Whether an update could go to this node now."""
        return any(
            self._is_open(eui, update.parcel)
            and self.places.may_take(eui, update.parcel.digest, proven=self._is_proven(update))
            for update in self._updates_above(status)
        )

    def is_offered(self, eui: bytes, parcel: Parcel) -> bool:
        """Whether the operator still wants a node to get this."""
        if parcel.what == UPDATE:
            return any(
                update.parcel.digest == parcel.digest and not self.is_stopped(update)
                for update in self.shelf.updates
            )
        found = self.shelf.configurations.get(eui)
        return found is not None and found.parcel.digest == parcel.digest

    def applying(self, eui: bytes, parcel: Parcel, now_ms: int) -> None:
        """Note that the node is told to apply a parcel now."""
        attempt = self._attempt(eui, parcel)
        if attempt.outcome != outcomes.AGAIN:
            attempt = replace(attempt, outcome=outcomes.ASKED)
        self._ledger.note(replace(attempt, tries=attempt.tries + 1))
        if parcel.what == UPDATE:
            self.places.applied_by(eui, parcel.digest, now_ms)

    def ended(self, eui: bytes, parcel: Parcel, outcome: Outcome) -> None:
        """Note how a push ended."""
        attempt = self._attempt(eui, parcel)
        if outcome.end == push.APPLIED:
            self._ledger.note(replace(attempt, outcome=outcomes.APPLIED, why=""))
        elif outcome.end == push.REFUSED:
            self._settle(attempt, outcomes.REFUSED, outcome.why)
        elif outcome.end == push.SILENT:
            self.places.leave(eui, parcel.digest, owing=False)
        else:
            if attempt.outcome == outcomes.ASKED:
                self._ledger.note(replace(attempt, outcome="", why=outcome.why))
            self.places.leave(eui, parcel.digest)

    def dropped(self, eui: bytes, parcel: Parcel) -> None:
        """Note that the operator does not want this any more, amid a push."""
        self.places.leave(eui, parcel.digest, owing=False)

    def forgive(self, attempts: Iterable[Attempt]) -> None:
        """Take over what Ledger.again has given, once that is on disk."""
        for attempt in attempts:
            self._reported.discard(attempt.digest)
            self._ledger.put(attempt)

    def expire(self, now_ms: int) -> None:
        """Take silence for an answer, after its time."""
        for eui, digest in self.places.expire(now_ms):
            attempt = self._ledger.find(eui, UPDATE, digest)
            if attempt is not None and attempt.outcome not in outcomes.SETTLED:
                self._settle(attempt, outcomes.FAILED, _UNHEARD)

    def _update_for(self, eui: bytes, status: NodeStatus, now_ms: int) -> Parcel | None:
        for update in self._updates_above(status):
            if self._may_get(eui, update.parcel):
                digest, proven = update.parcel.digest, self._is_proven(update)
                taken = self.places.take(eui, digest, now_ms, proven=proven)
                return update.parcel if taken else None
        return None

    def _updates_above(self, status: NodeStatus) -> Iterator[Update]:
        """Give what a node could run next, the newest first."""
        for update in self.shelf.updates:
            fits = update.device_class == status.device_class
            follows = update.oldest <= status.reached < update.sequence
            if fits and follows and not self.is_stopped(update):
                yield update

    def _is_proven(self, update: Update) -> bool:
        return self._ledger.count(UPDATE, update.parcel.digest, outcomes.DONE) > 0

    def _is_open(self, eui: bytes, parcel: Parcel) -> bool:
        """Whether nothing final has come of a parcel on a node."""
        attempt = self._ledger.find(eui, parcel.what, parcel.digest)
        if attempt is None:
            return True
        return attempt.outcome not in outcomes.SETTLED and attempt.tries < outcomes.MOST_TRIES

    def _may_get(self, eui: bytes, parcel: Parcel) -> bool:
        attempt = self._attempt(eui, parcel)
        if attempt.outcome in {outcomes.REFUSED, outcomes.FAILED}:
            return False
        if attempt.what == UPDATE and attempt.outcome == outcomes.DONE:
            return False  # A node takes nothing that is not above all it has run for good.
        if attempt.outcome != outcomes.DONE and attempt.tries >= outcomes.MOST_TRIES:
            self._settle(attempt, outcomes.FAILED, _IN_VAIN)
            return False
        return True

    def _attempt(self, eui: bytes, parcel: Parcel) -> Attempt:
        found = self._ledger.find(eui, parcel.what, parcel.digest)
        return _blank(eui, parcel) if found is None else found

    def _unknown(self, eui: bytes, status: NodeStatus) -> Iterator[Attempt]:
        """Give what lies ready for a node and was never tried from here, as if it was."""
        parcels = [
            update.parcel
            for update in self.shelf.updates
            if update.device_class == status.device_class
        ]
        if eui in self.shelf.configurations:
            parcels.append(self.shelf.configurations[eui].parcel)
        for parcel in parcels:
            if self._ledger.find(eui, parcel.what, parcel.digest) is None:
                yield _blank(eui, parcel)

    def _settle(self, attempt: Attempt, outcome: str, why: str) -> None:
        """Note an outcome that is final, and say so unless it was come to without this gateway."""
        tries = 0 if outcome == outcomes.DONE else attempt.tries
        self._ledger.note(replace(attempt, outcome=outcome, why=why, tries=tries))
        self.places.leave(attempt.eui, attempt.digest)
        fields = {"eui": attempt.eui, "sequence": attempt.sequence}
        if outcome != outcomes.DONE:
            _LOG.warning("%s %s %s", attempt.what, outcome, pairs(**fields, why=why))
            self._report_stop(attempt)
        elif attempt.outcome:
            _LOG.info("%s is in force %s", attempt.what, pairs(**fields))

    def _report_stop(self, attempt: Attempt) -> None:
        digest = attempt.digest
        count = self._ledger.count(UPDATE, digest, outcomes.FAILED)
        if attempt.what != UPDATE or count < self._failures or digest in self._reported:
            return
        self._reported.add(digest)
        _LOG.error("update is stopped %s", pairs(sequence=attempt.sequence, failed_on=count))


def _blank(eui: bytes, parcel: Parcel) -> Attempt:
    return Attempt(eui, parcel.what, parcel.digest, parcel.sequence, "", "", 0, None)


def _update_result(attempt: Attempt, status: NodeStatus) -> tuple[str, str]:
    """Return outcome and reason of an update, as they were or as the node says."""
    owing = attempt.outcome in {outcomes.ASKED, outcomes.APPLIED}
    if status.reached == attempt.sequence or (owing and status.reached > attempt.sequence):
        return outcomes.DONE, ""
    if (owing or not attempt.outcome) and status.has_failed(attempt.sequence):
        return outcomes.FAILED, status.result_words
    return attempt.outcome, attempt.why


def _configuration_result(attempt: Attempt, status: NodeStatus) -> tuple[str, str]:
    if attempt.what == SETTINGS and status.configuration_hash == attempt.digest:
        return outcomes.DONE, ""
    # Until the node has said that it applies this one, it may have been an earlier one.
    if attempt.outcome == outcomes.APPLIED and status.configuration_state == REVERTED:
        return outcomes.FAILED, _NO_GATEWAY
    return attempt.outcome, attempt.why
