"""What `lilong drivers` reads from the source of drivers."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from lilong_tools.drivers.leaflet import Option, Quantity, decimal, leaflets, read_leaflet
from lilong_tools.drivers.page import example, page
from lilong_tools.errors import ToolError

ROOT = Path(__file__).parents[2]
SOURCE = '''\
"""Maker TYPE1: what it measures.

Datasheet: the paper,
    second line
Wiring: VDD, GND
Options:
    pin: where it is,
        on two lines
    inner[].key: of a nested object
    size: how big
Limits: none
Power: 1 uA always
"""

_LOW = const(-40)
_HIGH = 1 << 7


class _Helper:
    pass


class Type1:
    BUS = "pins"
    GIVES = (Quantity("t", "Cel", -1, 10 * _LOW, _HIGH),)

    def __init__(self, bus, options):
        self._pin = options.number("pin", 0, 99)
        self._size = options.number("size", 1, _HIGH, 8)
        self._loud = options.flag("loud")
'''


def written(folder: Path, source: str) -> Path:
    path = folder / "type1.py"
    path.write_text(source)
    return path


def test_a_leaflet_tells_what_docstring_class_and_constructor_say(tmp_path: Path) -> None:
    leaflet = read_leaflet(written(tmp_path, SOURCE))
    assert (leaflet.name, leaflet.title, leaflet.bus) == (
        "type1",
        "Maker TYPE1: what it measures",
        "pins",
    )
    assert leaflet.fields["Datasheet"] == "the paper, second line"
    assert leaflet.gives == (Quantity("t", "Cel", -1, "-40", "12.8"),)
    assert leaflet.options == (
        Option("pin", "0..99", "", "where it is, on two lines"),
        Option("size", "1..128", "8", "how big"),
        Option("loud", "true or false", "false", ""),
        Option("inner[].key", "", "", "of a nested object"),
    )


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("Limits: none\n", "", "Limits"),
        ('BUS = "pins"', "PLACE = 1", "0 drivers"),
        ("class _Helper:\n    pass", 'class Other:\n    BUS = "i2c"', "2 drivers"),
        ('BUS = "pins"', "BUS = _HIGH", "no BUS"),
    ],
)
def test_a_driver_that_does_not_say_what_it_must_is_refused(
    old: str, new: str, words: str, tmp_path: Path
) -> None:
    with pytest.raises(ToolError, match=words):
        read_leaflet(written(tmp_path, SOURCE.replace(old, new)))


@pytest.mark.parametrize(
    ("value", "exponent", "text"),
    [(12500, -2, "125"), (-5, -1, "-0.5"), (-4000, -2, "-40"), (7, 2, "700"), (0, -3, "0")],
)
def test_a_limit_is_written_without_a_float(value: int, exponent: int, text: str) -> None:
    assert decimal(value, exponent) == text


def test_every_option_that_a_driver_reads_is_explained() -> None:
    silent = [
        (leaflet.name, option.name)
        for leaflet in leaflets()
        for option in leaflet.options
        if not option.words
    ]
    assert silent == []


def test_the_page_in_docs_is_what_the_drivers_say_now() -> None:
    assert (ROOT / "docs" / "drivers.md").read_text("utf-8") == page(leaflets())


def test_the_example_of_a_driver_has_each_quantity_as_a_channel_and_its_status() -> None:
    for leaflet in leaflets():
        settings = json.loads(example(leaflet))
        sources = [channel["source"] for channel in settings["channels"]]
        assert sources[-1] == "here.status"
        assert sources[:-1] == [f"here.{given.name}" for given in leaflet.gives] or (
            not leaflet.gives
        )
        assert settings["devices"]["here"]["driver"] == leaflet.name


def command(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "lilong_tools", "drivers", *words],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_command_lists_shows_one_and_speaks_json() -> None:
    names = [leaflet.name for leaflet in leaflets()]
    assert [line.split()[0] for line in command().stdout.splitlines()] == names
    shown = command("sht4x").stdout
    assert "humidity" in shown
    assert '"driver": "sht4x"' in shown
    assert [one["name"] for one in json.loads(command("--json").stdout)] == names
    wrong = command("sht9x")
    assert wrong.returncode == 2
    assert "`lilong drivers` lists them" in wrong.stderr
