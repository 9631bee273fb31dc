import os
import subprocess
import sys

import pytest


def lilong(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "lilong_tools", *map(str, words)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_help_names_the_commands():
    done = lilong("--help")
    assert done.returncode == 0
    assert "demo" in done.stdout
    assert "city" in done.stdout


@pytest.mark.parametrize("command", ["demo", "city"])
def test_each_command_explains_itself(command):
    done = lilong(command, "--help")
    assert done.returncode == 0
    assert f"usage: lilong {command}" in done.stdout


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["fly"],
        ["demo", "--nodes", "0"],
        ["demo", "--seconds", "-1"],
        ["demo", "--seconds", "nan"],
        ["demo", "--format", "xml"],
        ["city"],
        ["city", "--broker", "h", "--db", "x", "--seconds", "0"],
    ],
)
def test_a_wrong_call_ends_with_status_2_and_usage(words):
    done = lilong(*words)
    assert done.returncode == 2
    assert done.stderr.startswith("usage: lilong")


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["demo", "--replay", "/none.csv"], "/none.csv cannot be read"),
        (["demo", "--broker", "127.0.0.1:1"], "no broker answers at 127.0.0.1:1"),
        (["demo", "--broker", "nonsense:x"], "is not an address"),
        (["demo", "--speed", "2"], "--speed is for --replay"),
        (["demo", "--resolution", "0.03"], "not a power of ten"),
        (["city", "--broker", "h:1", "--db", "/none/c.db"], "/none/c.db cannot be used"),
    ],
)
def test_what_cannot_be_done_is_one_sentence_and_one_advice(words, problem):
    done = lilong(*words)
    assert done.returncode == 2
    assert done.stdout == ""
    first, second = done.stderr.splitlines()
    assert first.startswith("lilong: ")
    assert problem in first
    assert second.startswith("  -> ")


def test_commands_are_imported_only_when_they_are_asked_for():
    code = (
        "import sys, lilong_tools.__main__;"
        "print([m for m in ('rich', 'aiomqtt', 'amqtt', 'cbor2') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_character_that_the_terminal_lacks_is_written_otherwise():
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    words = ["demo", "--replay", "\u6c34.csv"]
    command = [sys.executable, "-m", "lilong_tools", *words]
    done = subprocess.run(command, capture_output=True, env=environment, check=False)
    assert done.returncode == 2
    assert b"lilong: \\u6c34.csv cannot be read" in done.stderr


def test_closed_and_full_output_are_no_crash():
    shell = ["sh", "-c", '"$0" -m lilong_tools bench wire "$1" >&-', sys.executable, "/none.csv"]
    done = subprocess.run(shell, capture_output=True, text=True, check=False)
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)
