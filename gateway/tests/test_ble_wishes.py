from lilong_gateway.keys import KeyRing
from lilong_gateway.proofs import Proofs
from lilong_gateway.radio.candidate import Wish
from lilong_gateway.radio.wishes import Wishes

EUI, OTHER = bytes(8), bytes([1] * 8)
OLD, NEW = bytes(16), bytes([1] * 16)
LOOK_MS = 2_000


class Desk:
    """What a downlink has, and what an itinerary was told."""

    def __init__(self) -> None:
        self.updates: list[bytes] = []
        self.configurations: list[bytes] = []
        self.trials: list[bytes] = []
        self.told: list[tuple[bytes, Wish | None]] = []

    def nodes_on_trial(self) -> list[bytes]:
        return self.trials

    def nodes_to_update(self) -> list[bytes]:
        return self.updates

    def nodes_to_configure(self) -> list[bytes]:
        return self.configurations

    def wants(self, eui: bytes, wish: Wish | None, _now_ms: int) -> None:
        self.told.append((eui, wish))


class Bench:
    def __init__(self, *keys: bytes) -> None:
        self.keys = KeyRing({EUI: list(keys), OTHER: [OLD]})
        self.proofs = Proofs(self.keys)
        self.desk = Desk()
        self.wishes = Wishes(self.keys, self.proofs, self.desk)
        self.now_ms = 5_000_000

    def look(self) -> list[tuple[bytes, Wish | None]]:
        self.desk.told = []
        self.wishes.look(self.desk, self.now_ms)
        self.now_ms += LOOK_MS
        return self.desk.told


def test_nothing_is_wished_of_nodes_for_whom_there_is_nothing() -> None:
    assert Bench(OLD).look() == []


def test_settings_are_wanted_soon_and_updates_take_turns_and_an_end_is_told_once() -> None:
    bench = Bench(OLD)
    bench.desk.updates = [EUI, OTHER]
    bench.desk.configurations = [OTHER]
    assert sorted(bench.look()) == [(EUI, Wish.BULK), (OTHER, Wish.PROMPT)]
    bench.desk.configurations = []
    assert sorted(bench.look()) == [(EUI, Wish.BULK), (OTHER, Wish.BULK)]
    bench.desk.updates = [OTHER]
    assert bench.look() == [(EUI, None), (OTHER, Wish.BULK)]
    assert bench.look() == [(OTHER, Wish.BULK)]


def test_a_node_that_owes_the_result_of_an_update_is_wanted_soon() -> None:
    bench = Bench(OLD)
    bench.desk.updates = [EUI]
    bench.desk.trials = [EUI]
    assert bench.look() == [(EUI, Wish.PROMPT)]


def test_a_node_that_has_not_shown_its_new_key_is_wanted_until_it_has() -> None:
    bench = Bench(OLD, NEW)
    assert bench.look() == [(EUI, Wish.PROMPT)]
    bench.proofs.note(EUI, OLD)
    assert bench.look() == [(EUI, Wish.PROMPT)]
    bench.proofs.note(EUI, NEW)
    assert bench.look() == [(EUI, None)]


def test_it_does_not_look_at_every_turn() -> None:
    bench = Bench(OLD)
    bench.look()
    bench.desk.updates = [EUI]
    bench.now_ms -= 1
    assert bench.look() == []
    assert bench.look() == [(EUI, Wish.BULK)]
