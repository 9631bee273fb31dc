import argparse
import importlib
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from lilong_gateway.__main__ import _parser as gateway_parser
from lilong_tools.__main__ import _COMMANDS, command_parser
from lilong_tools.city.pack import read_pack
from lilong_tools.city.parts import Cutter
from lilong_tools.demo.ledger import Account
from lilong_tools.demo.report import Heap, Played, Report

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
    ROOT / "protocol/SPEC.md",
    ROOT / "hil_tests/README.md",
]
SENSORS = ROOT / "firmware/lilong_firmware/sensors"
COMMAND = re.compile(r"(?:\.venv/bin/|\s|^)(lilong(?:-gateway)? .*)")

page = pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())


def code(path: Path) -> Iterator[str]:
    """Every line of a code block, fenced or indented, without its comment."""
    fenced = False
    for line in path.read_text("utf-8").splitlines():
        if line.lstrip().startswith("```"):
            fenced = not fenced
        elif fenced or line.startswith("    "):
            yield re.split(r"\s+#\s", line)[0].strip()


def quoted(text: str) -> list[str]:
    return re.findall(r"`([^`\n]+)`", text)


def section(path: Path, title: str) -> str:
    return path.read_text("utf-8").split(f"\n## {title}\n")[1].split("\n## ")[0]


def first_column(text: str) -> list[str]:
    rows = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    return [word for cell in rows for word in quoted(cell)]


def lilong_parser(name: str) -> argparse.ArgumentParser:
    return command_parser(name, importlib.import_module(_COMMANDS[name][0]))


def accepted(words: list[str]) -> bool:
    if words[0] == "lilong-gateway":
        parser, words = gateway_parser(), words[1:]
    else:
        parser, words = lilong_parser(words[1]), words[2:]
    try:
        parser.parse_args(words)
    except SystemExit:
        return False
    return True


def command_lines(path: Path) -> list[str]:
    lines = [match[1] for line in code(path) if (match := COMMAND.search(line))]
    made = [
        match[1] for line in code(path) if (match := re.search(r'make demo ARGS="(.*)"', line))
    ]
    return lines + [f"lilong demo {words}" for words in made]


@page
def test_every_link_leads_to_a_file(path):
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", path.read_text("utf-8"))
    dead = [to for to in links if "://" not in to and not (path.parent / to).exists()]
    assert dead == []


@page
def test_every_command_line_is_accepted_by_the_parser_it_is_for(path):
    lines = command_lines(path)
    assert [line for line in lines if not accepted(shlex.split(line))] == []


def test_command_lines_are_found_and_wrong_ones_are_not_accepted():
    assert sum(len(command_lines(path)) for path in PAGES) > 10
    assert not accepted(["lilong", "demo", "--fly"])
    assert not accepted(["lilong-gateway", "fly"])


@page
def test_every_make_target_exists(path):
    text = path.read_text("utf-8")
    words = [*code(path), *quoted(text)]
    named = {match[1] for word in words if (match := re.match(r"make ([a-z]+)\b", word))}
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    assert named - targets == set()


def test_every_option_of_the_demo_is_explained_and_no_other_is():
    text = (ROOT / "docs/demo.md").read_text("utf-8")
    told = set(re.findall(r"(?<![\w-])--[a-z]+", text))
    known = {name for name in lilong_parser("demo")._option_string_actions if name != "-h"}
    assert told == known - {"--help"}


def test_the_keys_of_the_demo_are_those_of_its_report():
    played = [Played("a.csv", 1, 1, 1, rounded=False)]
    report = Report(Account(), 1, 0, 0, Heap(), played=played).as_dict()
    text = section(ROOT / "docs/demo.md", "The result")
    assert sorted(first_column(text)) == sorted(report)
    parts = ["latency_ms", "heap_bytes", "replay"]
    rows = {
        key: line for key in parts for line in text.splitlines() if line.startswith(f"| `{key}")
    }
    (file,) = report["replay"]
    found = {
        "latency_ms": report["latency_ms"],
        "heap_bytes": report["heap_bytes"],
        "replay": file,
    }
    assert {key: set(quoted(rows[key])) - {key} for key in parts} == {
        key: set(value) for key, value in found.items()
    }


def test_every_file_of_the_work_folder_is_one_that_the_demo_writes():
    text = section(ROOT / "docs/demo.md", "The work folder")
    sources = "".join(
        path.read_text("utf-8")
        for folder in ("tools/lilong_tools", "gateway/lilong_gateway", "firmware/lilong_firmware")
        for path in (ROOT / folder).rglob("*.py")
    )
    logs = {"broker.log", "gateway.log", "city.log"}
    names = {Path(word).name for word in first_column(text)} - logs - {"*"}
    assert {name for name in names if f'"{name}"' not in sources} == set()


def test_every_key_of_settings_json_is_one_that_the_firmware_reads():
    text = section(ROOT / "docs/node.md", "settings.json")
    kinds = {path.stem for path in SENSORS.glob("*.py")}
    keys = {word for word in quoted(text) if re.fullmatch(r"[a-z_]+", word)} - kinds
    source = (ROOT / "firmware/lilong_firmware/settings.py").read_text("utf-8")
    assert len(keys) > 20
    assert {key for key in keys if f'"{key}"' not in source} == set()


def test_the_city_reads_the_example_of_its_page():
    blocks = re.findall(
        r"```json\n(.*?)```", (ROOT / "docs/city.md").read_text("utf-8"), re.DOTALL
    )
    assert len(read_pack(blocks[0].encode()).records) == 2
    many = [read_pack(part.payload) for part in Cutter().parts(blocks[1].encode())]
    assert [len(pack.records) for pack in many] == [2, 1]
    assert (many[1].one_in, many[1].late) == (4, True)
    assert set(json.loads(blocks[2])) == {"store", "positions"}
