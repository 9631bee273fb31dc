from lilong_gateway.radio.addresses import Addresses

EUI, OTHER = bytes(8), bytes([1] * 8)
OURS, THEIRS, THIRD = "4C:4C:00:00:00:01", "4C:4C:00:00:00:02", "4C:4C:00:00:00:03"
SILENT_MS = 30_000


def proven() -> Addresses:
    addresses = Addresses()
    assert addresses.choose(EUI, OURS, 0) == OURS
    addresses.reached(EUI, OURS)
    return addresses


def test_a_node_is_visited_where_it_is_heard() -> None:
    addresses = Addresses()
    assert addresses.choose(EUI, OURS, 0) == OURS
    assert addresses.choose(OTHER, THEIRS, 0) == THEIRS
    assert addresses.choose(EUI, OURS, 10 * SILENT_MS) == OURS


def test_who_repeats_a_node_however_often_does_not_take_its_place() -> None:
    addresses = proven()
    for now_ms in range(0, 100_000, 20):
        if now_ms % 1000 == 0:
            assert addresses.choose(EUI, OURS, now_ms) == OURS
        assert addresses.choose(EUI, THEIRS, now_ms) == OURS


def test_a_node_that_has_another_address_is_visited_there_once_the_old_one_is_silent() -> None:
    addresses = proven()
    assert addresses.choose(EUI, THEIRS, SILENT_MS) == OURS
    assert addresses.choose(EUI, THEIRS, SILENT_MS + 1) == THEIRS


def test_one_that_was_never_reached_gives_way_after_one_failure_and_a_proven_one_after_three():
    addresses = Addresses()
    addresses.choose(EUI, THEIRS, 0)
    addresses.failed(EUI, THEIRS)
    assert addresses.choose(EUI, THEIRS, 1) == THEIRS
    assert addresses.choose(EUI, OURS, 2) == OURS
    assert addresses.choose(EUI, THEIRS, 3) == OURS
    addresses.reached(EUI, OURS)
    for _ in range(2):
        addresses.failed(EUI, OURS)
        assert addresses.choose(EUI, THEIRS, 4) == OURS
    addresses.failed(EUI, OURS)
    assert addresses.choose(EUI, THEIRS, 5) == THEIRS


def test_what_is_told_of_an_address_of_before_changes_nothing() -> None:
    addresses = proven()
    addresses.reached(EUI, THIRD)
    for _ in range(5):
        addresses.failed(EUI, THIRD)
    addresses.failed(OTHER, THIRD)
    assert addresses.choose(EUI, THEIRS, 1) == OURS
