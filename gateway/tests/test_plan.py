import logging
from dataclasses import replace
from pathlib import Path

import pytest
from pushed_node import Maker

from lilong_gateway.downlink import ledger as outcomes
from lilong_gateway.downlink import push
from lilong_gateway.downlink.goods import Configuration, Update
from lilong_gateway.downlink.ledger import Ledger
from lilong_gateway.downlink.node_status import NodeStatus
from lilong_gateway.downlink.parcel import Parcel, configuration_parcel
from lilong_gateway.downlink.places import RESULT_MS
from lilong_gateway.downlink.plan import Plan
from lilong_gateway.downlink.push import Outcome
from lilong_gateway.downlink.shelf import Shelf

EUIS = [bytes([number] * 8) for number in range(9)]
EUI = EUIS[0]
RUNS = NodeStatus(1, bytes(8), "lilong", 1, 3, False, 0, 0, False)
APPLIED, REFUSED, LATER = (Outcome(end, "why") for end in (push.APPLIED, push.REFUSED, push.LATER))
MINUTE_MS = 60_000


class Desk:
    """A plan, what it hands to the store, and nodes that do as a test says."""

    def __init__(self, folder: Path, at_once: int = 3, failures: int = 2) -> None:
        self.folder = folder
        self.maker = Maker()
        self.stored = []
        self.at_once, self.failures = at_once, failures
        self.begin()

    def begin(self) -> None:
        """Start with nothing but what the store has."""
        self.ledger = Ledger(lambda entry, _: self.stored.append(entry) or True, lambda: 5)
        self.ledger.load(self.stored)
        self.plan = Plan(self.ledger, self.at_once, self.failures)
        self.plan.load(0)

    def lay(self, *updates: Update, configurations: tuple[Configuration, ...] = ()) -> None:
        newest = sorted(updates, key=lambda update: -update.sequence)
        self.plan.shelf = Shelf(tuple(newest), {each.eui: each for each in configurations})

    def update(self, sequence: int, **more) -> Update:
        return self.maker.update(self.folder, sequence, {"a.mpy": b"%d" % sequence}, **more)

    def assign(self, eui: bytes = EUI, status: NodeStatus = RUNS, now_ms: int = 0):
        parcel = self.plan.assign(eui, status, now_ms)
        return None if parcel is None else parcel.sequence

    def apply(self, eui: bytes, parcel: Parcel, now_ms: int = 0) -> None:
        assert self.assign(eui, now_ms=now_ms) == parcel.sequence
        self.plan.applying(eui, parcel, now_ms)
        self.plan.ended(eui, parcel, APPLIED)

    def outcome(self, update: Update, eui: bytes = EUI) -> str:
        found = self.ledger.find(eui, "update", update.parcel.digest)
        return "" if found is None else found.outcome

    def forgive(self, eui: bytes) -> None:
        self.plan.forgive(self.ledger.again(eui))


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def now_runs(sequence: int) -> NodeStatus:
    return replace(RUNS, sequence=sequence, result=2, result_sequence=sequence)


def rolled_back(sequence: int) -> NodeStatus:
    return replace(RUNS, result=3, result_sequence=sequence)


def test_a_node_gets_the_newest_update_of_its_class_that_it_can_take(desk: Desk) -> None:
    desk.lay(
        desk.update(2),
        desk.update(4),
        desk.update(5),
        desk.update(6, oldest=4),
        desk.update(7, device_class="other"),
    )
    assert desk.assign() == 5
    assert desk.assign(EUIS[1], replace(RUNS, sequence=4)) == 6
    assert desk.assign(EUIS[2], replace(RUNS, sequence=6)) is None
    assert desk.assign(EUIS[3], replace(RUNS, device_class="third")) is None


def test_nothing_is_pushed_while_an_update_is_on_trial(desk: Desk) -> None:
    desk.lay(desk.update(5), configurations=(settings(),))
    assert desk.assign(status=replace(RUNS, trial=True)) is None
    assert desk.assign(status=replace(RUNS, result=1, result_sequence=4)) is None


def test_a_node_in_recovery_is_judged_by_what_it_had_reached(desk: Desk) -> None:
    desk.lay(desk.update(5, oldest=4), desk.update(4))
    recovering = replace(RUNS, sequence=0, recovery=True, result=2, result_sequence=4)
    assert desk.assign(status=recovering) == 5


def test_a_new_update_goes_to_one_node_until_that_has_kept_it(desk: Desk) -> None:
    update = desk.update(5)
    desk.lay(update)
    desk.apply(EUI, update.parcel)
    assert [desk.assign(eui) for eui in EUIS[1:3]] == [None, None]
    desk.plan.heard(EUI, replace(RUNS, trial=True, sequence=5, result=1, result_sequence=5))
    assert desk.assign(EUIS[1]) is None
    desk.plan.heard(EUI, now_runs(5))
    assert desk.outcome(update) == outcomes.DONE
    assert [desk.assign(eui) for eui in EUIS[1:6]] == [5, 5, 5, None, None]
    assert desk.assign(EUIS[1]) == 5


def test_a_node_that_runs_it_by_another_way_proves_it_too(desk: Desk) -> None:
    desk.lay(desk.update(5))
    desk.plan.heard(EUIS[8], now_runs(5))
    assert [desk.assign(eui) for eui in EUIS[:4]] == [5, 5, 5, None]


def test_no_more_nodes_than_allowed_whatever_they_get(desk: Desk) -> None:
    desk.lay(desk.update(5))
    desk.plan.heard(EUIS[8], now_runs(5))
    assert [desk.assign(eui) for eui in EUIS[:3]] == [5, 5, 5]
    desk.lay(desk.update(6), desk.update(5))
    assert desk.assign(EUIS[4]) is None
    assert desk.assign(EUIS[0]) == 6


def test_an_update_that_was_rolled_back_is_not_tried_on_that_node_again(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    update = desk.update(5)
    desk.lay(update, desk.update(4))
    desk.apply(EUI, update.parcel)
    desk.plan.heard(EUI, rolled_back(5))
    assert desk.outcome(update) == outcomes.FAILED
    assert desk.assign() == 4
    assert desk.assign(EUIS[1]) == 5
    assert "no gateway heard it" in caplog.text
    desk.begin()
    desk.lay(update)
    assert desk.assign() is None


def test_a_failure_that_only_the_node_knows_of_counts_as_well(desk: Desk) -> None:
    update = desk.update(5)
    desk.lay(update)
    desk.plan.heard(EUI, rolled_back(5))
    assert desk.assign() is None
    assert desk.outcome(update) == outcomes.FAILED


def test_a_person_has_a_failure_tried_again_and_it_may_fail_again(desk: Desk) -> None:
    update = desk.update(5)
    desk.lay(update)
    desk.plan.heard(EUI, rolled_back(5))
    for _ in range(3):
        desk.forgive(EUI)
        desk.plan.heard(EUI, rolled_back(5))
        desk.apply(EUI, update.parcel)
        desk.plan.heard(EUI, rolled_back(5))
        assert desk.assign() is None
    desk.forgive(EUI)
    desk.apply(EUI, update.parcel)
    desk.plan.heard(EUI, now_runs(5))
    assert desk.outcome(update) == outcomes.DONE


def test_a_retry_is_not_used_up_by_a_request_that_never_arrived(desk: Desk) -> None:
    update = desk.update(5)
    desk.lay(update)
    desk.plan.heard(EUI, rolled_back(5))
    desk.forgive(EUI)
    assert desk.assign() == 5
    desk.plan.applying(EUI, update.parcel, 0)
    desk.plan.heard(EUI, rolled_back(5))
    assert desk.assign() == 5


def test_an_update_that_failed_on_several_nodes_is_stopped_for_all_and_said_once(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    update = desk.update(5)
    desk.lay(update)
    desk.plan.heard(EUIS[0], rolled_back(5))
    assert not desk.plan.is_stopped(update)
    desk.plan.heard(EUIS[1], rolled_back(5))
    assert desk.plan.is_stopped(update)
    desk.plan.heard(EUIS[2], rolled_back(5))
    assert desk.plan.is_stopped(update)
    assert desk.assign(EUIS[3]) is None
    assert not desk.plan.is_offered(EUIS[3], update.parcel)
    errors = [each.message for each in caplog.records if each.levelno == logging.ERROR]
    assert errors == ["update is stopped sequence=5 failed_on=2"]
    desk.forgive(EUIS[0])
    assert desk.plan.is_stopped(update)
    desk.forgive(EUIS[1])
    assert desk.assign(EUIS[3]) == 5


def test_a_refusal_bars_that_node_alone(desk: Desk) -> None:
    update = desk.update(5)
    desk.lay(update)
    for eui in EUIS[:4]:
        assert desk.assign(eui) == 5
        desk.plan.ended(eui, update.parcel, REFUSED)
        assert desk.assign(eui) is None
    assert not desk.plan.is_stopped(update)
    desk.lay(desk.maker.update(desk.folder, 5, {"a.mpy": b"mended"}))
    assert desk.assign(EUIS[0]) == 5


def test_a_node_that_could_not_for_now_makes_room_for_others(desk: Desk) -> None:
    update = desk.update(5)
    desk.lay(update)
    assert desk.assign() == 5
    desk.plan.ended(EUI, update.parcel, LATER)
    assert desk.assign(EUIS[1]) == 5
    assert desk.assign() is None


def test_a_node_that_goes_away_amid_a_transfer_holds_up_no_other_for_long(desk: Desk) -> None:
    desk.lay(desk.update(5))
    assert desk.assign(now_ms=0) == 5
    desk.plan.places.seen(EUI, 5 * MINUTE_MS)
    assert desk.assign(EUIS[1], now_ms=14 * MINUTE_MS) is None
    assert desk.assign(EUIS[1], now_ms=16 * MINUTE_MS) == 5


def test_a_node_that_was_told_to_apply_it_and_is_silent_has_failed_after_an_hour(
    desk: Desk,
) -> None:
    update = desk.update(5)
    desk.lay(update)
    desk.apply(EUI, update.parcel)
    assert desk.assign(EUIS[1], now_ms=RESULT_MS) is None
    assert desk.assign(EUIS[1], now_ms=RESULT_MS + 1) == 5
    assert desk.outcome(update) == outcomes.FAILED
    desk.plan.heard(EUI, now_runs(5))
    assert desk.outcome(update) == outcomes.DONE


def test_the_trial_of_a_node_outlives_a_restart_of_the_gateway(desk: Desk) -> None:
    update = desk.update(5)
    desk.lay(update)
    desk.plan.assign(EUI, RUNS, 0)
    desk.plan.applying(EUI, update.parcel, 0)
    desk.begin()
    desk.lay(update)
    assert desk.assign(EUIS[1]) is None
    desk.plan.ended(EUI, update.parcel, Outcome(push.SILENT))
    assert desk.assign(EUIS[1]) is None
    desk.plan.heard(EUI, now_runs(5))
    assert desk.assign(EUIS[1]) == 5


def test_applying_in_vain_ends_after_some_tries(desk: Desk) -> None:
    update = desk.update(5)
    desk.lay(update)
    for _ in range(outcomes.MOST_TRIES):
        desk.apply(EUI, update.parcel)
        desk.plan.heard(EUI, RUNS)
    assert desk.assign() is None
    assert desk.outcome(update) == outcomes.FAILED


def test_a_withdrawn_update_is_pushed_no_further(desk: Desk) -> None:
    update = desk.update(5)
    desk.lay(update)
    assert desk.plan.is_offered(EUI, update.parcel)
    desk.lay()
    assert not desk.plan.is_offered(EUI, update.parcel)
    desk.plan.dropped(EUI, update.parcel)
    assert desk.plan.places.count == 0


def settings(version: int = 2, eui: bytes = EUI) -> Configuration:
    return Configuration("x.json", eui, configuration_parcel(version, b'{"version":%d}' % version))


def with_settings(found: Configuration, state: int = 2) -> NodeStatus:
    return replace(RUNS, configuration_hash=found.parcel.digest, configuration_state=state)


def test_a_configuration_goes_before_an_update_to_its_node_alone(desk: Desk) -> None:
    found = settings()
    desk.lay(desk.update(5), configurations=(found,))
    assert desk.assign() == 2
    assert desk.assign(EUIS[1]) == 5
    desk.lay(configurations=(found,))
    desk.plan.applying(EUI, found.parcel, 0)
    desk.plan.ended(EUI, found.parcel, APPLIED)
    desk.plan.heard(EUI, with_settings(found))
    assert desk.assign(status=with_settings(found)) is None
    assert desk.assign(status=RUNS) == 2


def test_a_configuration_that_was_refused_or_taken_back_is_not_pushed_again(desk: Desk) -> None:
    bad, reverted = settings(2), settings(3, EUIS[1])
    desk.lay(configurations=(bad, reverted))
    desk.plan.ended(EUI, bad.parcel, REFUSED)
    assert desk.assign() is None
    desk.plan.applying(EUIS[1], reverted.parcel, 0)
    earlier = replace(RUNS, configuration_state=3)
    desk.plan.heard(EUIS[1], earlier)
    assert desk.assign(EUIS[1], earlier) == 3
    desk.plan.ended(EUIS[1], reverted.parcel, APPLIED)
    desk.plan.heard(EUIS[1], earlier)
    assert desk.assign(EUIS[1], earlier) is None
    desk.lay(configurations=(settings(4), settings(4, EUIS[1])))
    assert [desk.assign(eui, earlier) for eui in EUIS[:2]] == [4, 4]
