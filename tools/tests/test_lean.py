"""What the compiler of nodes is spared."""

import pytest

from lilong_tools.firmware.lean import lean

SOURCE = '''\
"""A module."""

from lilong_protocol.portable import TYPE_CHECKING, const

if TYPE_CHECKING:
    from typing import Any

_SIZE = const(4)


def size() -> "Any":
    return _SIZE
'''


def test_what_only_the_type_checker_reads_goes_and_lines_keep_their_numbers() -> None:
    spared = lean(SOURCE).split("\n")
    assert len(spared) == len(SOURCE.split("\n"))
    assert "TYPE_CHECKING" not in "".join(spared)
    assert spared[2] == spared[4] == spared[5] == ""
    assert spared[7] == "_SIZE = const(4)"
    assert spared[11] == "    return _SIZE"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("    return _SIZE", "    return const(_SIZE)"),
        ("const(4)", "const"),
        ("import TYPE_CHECKING, const", "import TYPE_CHECKING, const, other"),
        ("    return _SIZE", "    return TYPE_CHECKING"),
    ],
)
def test_names_that_a_node_reads_stay(old: str, new: str) -> None:
    assert "from lilong_protocol.portable import" in lean(SOURCE.replace(old, new))


def test_a_choice_between_interpreters_stays() -> None:
    source = SOURCE.replace("\n_SIZE", "else:\n    Any = None\n\n_SIZE", 1)
    assert "Any = None" in lean(source)
    assert "if TYPE_CHECKING:" in lean(source)


def test_what_is_no_python_is_left_to_the_compiler() -> None:
    with pytest.raises(SyntaxError):
        lean("def f(:\n")
