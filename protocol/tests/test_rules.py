import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lilong_protocol.rules.catalogue import KINDS, build_rule

PROTOCOL = Path(__file__).parent.parent
GOLDEN = PROTOCOL / "tests" / "rules.json"


def output_of(command: list[str], variable: str, path: str) -> list[str]:
    script = PROTOCOL / "tests" / "check_rules.py"
    done = subprocess.run(
        [*command, str(script), str(GOLDEN)],
        env={**os.environ, variable: path},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


def on_this_python() -> list[str]:
    return output_of([sys.executable], "PYTHONPATH", str(PROTOCOL))


@pytest.mark.parametrize("name", ["micropython", "micropython32"])
def test_rules_decide_the_same_on_every_interpreter(
    name: str, request: pytest.FixtureRequest
) -> None:
    launcher: Path = request.getfixturevalue(name)
    command = [str(launcher), "-X", "heapsize=400k"]
    assert output_of(command, "MICROPYPATH", f".frozen:{PROTOCOL}") == on_this_python()


def test_the_golden_data_hold_on_this_python_and_have_every_kind() -> None:
    assert len(on_this_python()) == 6
    golden = json.loads(GOLDEN.read_text("utf-8"))
    assert {case["kind"] for case in golden["rules"]} == set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_a_rule_that_has_seen_nothing_is_not_raised_and_explains_nothing(kind: str) -> None:
    parameters = {
        "contact": {"state": 1},
        "limit": {"above": 1},
        "silence": {"for_ms": 1},
        "slope": {"rise": 1, "within_ms": 1},
    }
    rule = build_rule(kind, parameters[kind])
    assert not rule.raised
    assert (rule.since_ms, rule.decided_ms, rule.value, rule.value_ms) == (None, None, None, None)
    assert (rule.limit, rule.reference) == (None, None)
