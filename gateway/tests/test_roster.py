import pytest

from lilong_gateway.roster import Roster


def refused(caplog: pytest.LogCaptureFixture) -> int:
    return sum("node refused" in record.message for record in caplog.records)


def test_made_up_identities_are_bounded_in_memory_and_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    roster = Roster()
    for number in range(5000):
        roster.refuse(number.to_bytes(8, "big"), "p", "unknown node", number)
    assert len(roster.refused) < 300
    assert refused(caplog) == len(roster.refused)
    assert sum(entry.count for entry in roster.refused.values()) == 5000


def test_a_node_with_a_wrong_key_is_named_however_many_strangers_call() -> None:
    roster = Roster()
    for number in range(5000):
        roster.refuse(number.to_bytes(8, "big"), "p", "unknown node", 0)
    roster.refuse(bytes([255] * 8), "p", "wrong key", 0)
    assert roster.refused["ff" * 8].reason == "wrong key"


def test_reasons_that_alternate_are_each_logged_once_an_hour(
    caplog: pytest.LogCaptureFixture,
) -> None:
    roster = Roster()
    for number in range(500):
        roster.refuse(bytes(8), "p", ("wrong key", "no common version")[number % 2], number)
    assert refused(caplog) == 2
    roster.refuse(bytes(8), "p", "wrong key", 3_600_000)
    assert refused(caplog) == 3
