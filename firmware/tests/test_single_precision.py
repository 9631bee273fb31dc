import ast
import math
import struct
import subprocess
import types
from pathlib import Path

import pytest

import lilong_firmware
import lilong_protocol

ROOT = Path(lilong_firmware.__file__).parents[1]
PACKAGES = [Path(lilong_firmware.__file__).parent, Path(lilong_protocol.__file__).parent]
SENSORS = Path(lilong_firmware.__file__).parent / "sensors"
VIRTUAL = SENSORS.parent / "virtual"
DRIVERS = SENSORS.parent / "drivers"
"""They wait for their chips; what they measure are integers."""
# Waits of asyncio, shown below to be exact to a millisecond; and two settings that models use.
WAITS = {
    *("collection", "ending", "link", "supervision", "fields", "settings"),
    *("probation", "requests", "restart"),
    *("instrument", "line", "local_rules", "probe", "sleeper"),
    *("radio", "visits"),
}
KINDS = ["bicycle", "crowd", "elevator", "river", "vitals"]


def single(value):
    return struct.unpack("f", struct.pack("f", value))[0] if type(value) is float else value


def has_floats(tree):
    return any(
        (isinstance(node, ast.Constant) and type(node.value) is float)
        or (isinstance(node, (ast.BinOp, ast.AugAssign)) and isinstance(node.op, ast.Div))
        or (isinstance(node, ast.Name) and node.id == "float")
        for node in ast.walk(tree)
    )


def test_no_module_computes_with_floats_but_the_models_and_the_waits():
    found = {
        path.stem
        for package in PACKAGES
        for path in package.rglob("*.py")
        if not {SENSORS, VIRTUAL, DRIVERS} & set(path.parents)
        and has_floats(ast.parse(path.read_text()))
    }
    assert found == WAITS


def test_a_wait_in_seconds_is_the_same_in_single_precision_to_a_millisecond():
    for wait_ms in range(20_000):
        assert 0 <= wait_ms - int(single(single(wait_ms / 1000) * 1000.0)) <= 1


@pytest.mark.parametrize("speed", [0.001, 0.5, 1, 1.001, 4, 120, 300_000, 1e6])
def test_the_speed_of_a_setting_is_the_same_in_single_precision_to_a_millionth(speed):
    exact = round(speed * 1000)
    assert abs(round(single(single(speed) * 1000.0)) - exact) <= exact // 1_000_000


class Rounding(ast.NodeTransformer):
    """Puts every result of a calculation through single precision."""

    def generic_visit(self, node):
        super().generic_visit(node)
        if isinstance(node, (ast.BinOp, ast.Call, ast.UnaryOp)) or (
            isinstance(node, ast.Constant) and type(node.value) is float
        ):
            return ast.Call(ast.Name("_single", ast.Load()), [node], [])
        if isinstance(node, ast.AugAssign):
            target = ast.parse(ast.unparse(node.target), mode="eval").body
            value = ast.Call(
                ast.Name("_single", ast.Load()), [ast.BinOp(target, node.op, node.value)], []
            )
            return ast.Assign([node.target], value)
        return node


def build(kind, seed, rounded):
    """The sensor from its own source, with its modules loaded apart from the real ones."""
    modules = {}
    for name in ("daytime", "chance", kind):
        tree = ast.parse((SENSORS / f"{name}.py").read_text())
        if rounded:
            tree = ast.fix_missing_locations(Rounding().visit(tree))
        module = types.ModuleType(name)
        module.__dict__.update(_single=single)
        exec(compile(tree, name, "exec"), module.__dict__)  # noqa: S102 - our own source
        for other in modules.values():
            for word, thing in other.__dict__.items():
                if not word.startswith("_") and word in module.__dict__:
                    module.__dict__[word] = thing
        modules[name] = module
    chance = modules["chance"].Chance(seed)
    daytime = modules["daytime"].Daytime(1.0, 8.0)
    return getattr(modules[kind], kind.capitalize())(chance, daytime)


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_gives_in_single_precision_what_it_gives_in_double(kind):
    apart = total = 0
    for seed in range(5):
        exact, rounded = build(kind, seed, rounded=False), build(kind, seed, rounded=True)
        for second in range(0, 1200, 2):
            pairs = zip(
                exact.read(second * 1000, None), rounded.read(second * 1000, None), strict=False
            )
            for (channel, value), (same, other) in pairs:
                total += 1
                apart += channel != same or abs(value - other) > 1
    assert total > 5000
    assert apart <= total // 500


def test_the_rounding_of_this_test_is_that_of_a_chip():
    source = ast.parse("x = 0.1\nx += 0.2\ny = x / 3")
    names = {"_single": single, "math": math}
    rounded = ast.fix_missing_locations(Rounding().visit(source))
    exec(compile(rounded, "x", "exec"), names)  # noqa: S102 - the line above
    assert names["x"] == single(single(0.1) + single(0.2)) != 0.1 + 0.2
    assert names["y"] == single(names["x"] / 3)


WRAP = """
from time import ticks_add, ticks_diff
from lilong_firmware.batcher import Batcher
from lilong_firmware.clock import Clock
from lilong_firmware.row import Row
from lilong_protocol.blocks import decode_block

DAY = 86400000
class Ticks:
    now = ticks_add(0, -1000)
ticks = Ticks()
clock = Clock(lambda: ticks.now, ticks_diff)
items = []
batcher = Batcher(lambda *item: items.append(item), 60, 10 * DAY)
told = []
clock.measured(848000000000, 3, 0)
for day in range(1, 201):
    for _ in range(4):
        ticks.now = ticks_add(ticks.now, DAY // 4)
        up = clock.uptime_ms()
    assert up == day * DAY, (up, day)
    clock.measured(848000000000, 3, up)
    told.append(clock.time_ms(up))
    batcher.add(Row(up, None, told[-1], [(0, day)]))
    batcher.add(Row(up, 7, up, [(1, day)]))
batcher.flush()
known = [t for item in items for b in [decode_block(item[0])] if b.boot is None for t in b.times]
early = [t for item in items for b in [decode_block(item[0])] if b.boot == 7 for t in b.times]
assert known == told == [848000000000 + day * DAY for day in range(1, 201)]
assert early == [day * DAY for day in range(1, 201)]
print("half a year")
"""


def test_half_a_year_of_wrapping_ticks_and_31_bit_integers_on_the_word_size_of_a_chip(
    micropython32, tmp_path
):
    program = tmp_path / "wrap.py"
    program.write_text(WRAP)
    done = subprocess.run(
        [micropython32, "-X", "heapsize=4m", program],
        env={"MICROPYPATH": f".frozen:{ROOT.parent / 'protocol'}:{ROOT}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.stdout + done.stderr == "half a year\n"


EPOCH = """
import sys
sys.path.insert(0, "{folder}")
from lilong_firmware.board import Board
print(Board().unix_ms())
"""
TIME = """
from utime import *
def gmtime(second=None):
    return ({year}, 1, 1, 0, 0, 0, 0, 1)
def time_ns():
    return {ns}
"""


@pytest.mark.parametrize(
    ("year", "ns"), [(1970, 1_800_000_000_123_000_000), (2000, 853_315_200_123_000_000)]
)
def test_the_wall_clock_is_the_same_whether_its_epoch_is_1970_or_2000(
    micropython32, tmp_path, year, ns
):
    (tmp_path / "time.py").write_text(TIME.format(year=year, ns=ns))
    program = tmp_path / "epoch.py"
    program.write_text(EPOCH.format(folder=tmp_path))
    shim = ROOT / "lilong_firmware" / "virtual"
    done = subprocess.run(
        [micropython32, program],
        env={"MICROPYPATH": f"{tmp_path}:{shim}:.frozen:{ROOT.parent / 'protocol'}:{ROOT}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.stdout + done.stderr == "1800000000123\n"
