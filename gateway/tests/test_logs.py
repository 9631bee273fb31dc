import pytest

from lilong_gateway.backoff import Backoff
from lilong_gateway.logs import pairs


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("plain", "plain"),
        (b"\x0a\x1b", "0a1b"),
        ("two words", '"two words"'),
        ('a "quote"', '"a \\"quote\\""'),
        ("line\nbreak\x1b[31m", '"line\\nbreak\\x1b[31m"'),
        ("", '""'),
        (7, "7"),
    ],
)
def test_a_value_can_neither_break_the_line_nor_forge_a_key(value: object, written: str) -> None:
    assert pairs(key=value) == f"key={written}"


def test_waiting_grows_to_its_bound_and_starts_again_after_success() -> None:
    backoff = Backoff(lambda: 0.5, 1.0, 8.0)
    assert [backoff.next_s() for _ in range(5)] == [0.5, 1.0, 2.0, 4.0, 4.0]
    backoff.reset()
    assert backoff.next_s() == 0.5


def test_waiting_is_never_nothing() -> None:
    assert Backoff(lambda: 0.0, 1.0, 8.0).next_s() == 0.25
