import contextlib
import fcntl
import json
import os
import re
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from lilong_gateway.config import load_config
from lilong_gateway.links.ports import find_ports
from lilong_tools.city.address import Address
from lilong_tools.city.pack import Record
from lilong_tools.demo.child import Child
from lilong_tools.demo.gateway import write_gateway
from lilong_tools.demo.ledger import Delivery
from lilong_tools.demo.plan import NAMED, playing_s, scenario_nodes
from lilong_tools.demo.replay import replay_nodes
from lilong_tools.demo.report import played
from lilong_tools.demo.screen import short
from lilong_tools.errors import ToolError
from lilong_tools.recording import scan
from lilong_tools.resolution import parse_resolution
from lilong_tools.vnode.folder import installed_firmware

PATIENCE_S = 120
ROWS = 400
ALL = 8
"""Processes under a demonstration of the five scenarios."""


class Demo:
    """A running `lilong demo` with its output in files."""

    def __init__(self, folder: Path, micropython: Path, *words: str) -> None:
        self._output = folder / "output"
        with self._output.open("wb") as output, (folder / "messages").open("wb") as messages:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "lilong_tools", "demo", "--json", *words],
                stdout=output,
                stderr=messages,
                env={**os.environ, "LILONG_MICROPYTHON": str(micropython), "TMPDIR": str(folder)},
            )

    def children(self) -> list[int]:
        pid = self.process.pid
        with contextlib.suppress(OSError):
            return [
                int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            ]
        return []

    def child(self, word: str) -> int:
        """Wait for the child whose command line holds `word`."""
        return until(lambda: next((pid for pid in self.children() if word in command(pid)), 0))

    def result(self) -> dict[str, object]:
        self.process.wait(PATIENCE_S)
        return dict(json.loads(self._output.read_text()))


def command(pid: int) -> str:
    with contextlib.suppress(OSError):
        words = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
        return "" if "PDEATHSIG" in words or "prctl" in words else words
    return ""


def until(found: Callable[[], int]) -> int:
    deadline = time.monotonic() + PATIENCE_S
    while not (value := found()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return value


def alive(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


@pytest.fixture
def demo(tmp_path: Path, micropython: Path) -> Iterator[Callable[..., Demo]]:
    demos: list[Demo] = []

    def start(*words: str) -> Demo:
        demos.append(Demo(tmp_path, micropython, *words))
        return demos[-1]

    yield start
    for one in demos:
        if one.process.poll() is None:
            one.process.kill()
            one.process.wait()


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    path = tmp_path / "two.csv"
    lines = ["time,a b,c"]
    for row in range(ROWS):
        values = (f"{row * 37 % 101}.{row % 10}", "" if row % 50 == 3 else f"-{row}e-3")
        stamp = f"2018-06-01 {row // 60:02d}:{row % 60:02d}:00+00:00"
        lines.append(f"{stamp},{values[0]},{values[1]}")
    path.write_text("\n".join(lines) + "\n")
    return path


def scenario_plans(count: int):
    return scenario_nodes(installed_firmware().program.parent / "lilong_firmware/scenarios", count)


def test_the_five_scenarios_are_delivered_and_nothing_is_left_behind(demo, tmp_path):
    running = demo("--seconds", "5")
    until(lambda: len(running.children()) == ALL)
    children = running.children()
    result = running.result()
    assert running.process.returncode == 0
    assert result["nodes"] == len(NAMED)
    assert result["readings_sampled"] == result["readings_delivered"] > 0
    assert [result[fault] for fault in ("lost", "duplicated", "mismatched", "withheld")] == [0] * 4
    assert set(result["latency_ms"]) == {"p50", "p99"}
    assert not any(alive(pid) for pid in children)
    assert not list(tmp_path.glob("lilong-demo-*"))


def test_a_recording_is_delivered_row_by_row_though_everything_is_killed_once(demo, recording):
    running = demo("--replay", str(recording), "--speed", "2400", "--format", "json")
    for word in ("main.py", "lilong_gateway", "lilong_tools city", "lilong_tools.broker"):
        os.kill(running.child(word), signal.SIGKILL)
        time.sleep(1)
    result = running.result()
    assert running.process.returncode == 0
    assert result["restarts"] == 4
    (file,) = result["replay"]
    assert (file["rows"], file["rows_delivered"], file["rounded"]) == (ROWS, ROWS, False)
    assert result["readings_delivered"] == file["readings"] == 2 * ROWS - ROWS // 50


def test_a_recording_that_is_cut_short_is_no_fault(demo, recording):
    result = (
        running := demo("--replay", str(recording), "--speed", "60", "--seconds", "4")
    ).result()
    assert running.process.returncode == 0
    assert result["cut_short"]
    assert 0 < result["readings_delivered"] < ROWS


def test_a_demo_that_is_killed_takes_all_its_children_along(demo):
    running = demo()
    until(lambda: len(running.children()) == ALL)
    children = running.children()
    running.process.kill()
    running.process.wait()
    until(lambda: not any(alive(pid) for pid in children))


def test_a_second_signal_gives_up_waiting_and_says_so(demo, tmp_path):
    running = demo("--nodes", "1")
    broker = running.child("lilong_tools.broker")
    trace = until(
        lambda: next(
            (
                p
                for p in tmp_path.glob("lilong-demo-*/nodes/*/trace.log")
                if p.read_text().count("\nj ") > 0
            ),
            0,
        )
    )
    os.kill(broker, signal.SIGSTOP)
    seen = trace.read_text().count("\nj ")
    until(lambda: trace.read_text().count("\nj ") > seen)
    running.process.send_signal(signal.SIGTERM)
    time.sleep(1)
    assert running.process.poll() is None
    running.process.send_signal(signal.SIGINT)
    result = running.result()
    assert running.process.returncode == 1
    assert result["gave_up"]
    assert result["lost"] > 0
    assert not alive(broker)


def test_the_gateway_accepts_what_is_written_for_it(tmp_path):
    plans = scenario_plans(7)
    config = load_config(write_gateway(tmp_path, plans, Address("::1", 1883), "json", "demo"))
    assert (config.keys.stat().st_mode & 0o777, config.uplinks[0].confirm) == (0o600, "city")
    vitals = [plan.eui for plan in plans if plan.title == "vital signs"]
    assert [grant.eui.hex() for grant in config.grants] == vitals
    assert all(grant.classes == {3} and grant.reason for grant in config.grants)


def test_more_nodes_take_the_scenarios_in_turn():
    plans = scenario_plans(12)
    assert len({plan.eui for plan in plans}) == len({plan.label for plan in plans}) == 12
    assert [plan.title for plan in plans[5:7]] == [scene.title for scene in NAMED[:2]]


def test_the_default_speed_lets_the_longest_recording_end_soon(recording):
    assert playing_s(replay_nodes([scan(recording)], None)) == 45
    assert playing_s(scenario_plans(1)) is None


def test_years_of_daily_values_are_played_no_faster_than_a_node_can(tmp_path):
    path = tmp_path / "r.csv"
    path.write_text("time,a\n2001-01-01 00:00:00,1\n2021-01-01 00:00:00,2\n")
    (plan,) = replay_nodes([scan(path)], None)
    assert plan.settings["sensor"]["speed"] == 1e6


@pytest.mark.parametrize("speed", [1e-4, 2e6])
def test_a_speed_that_no_node_has_is_refused(recording, speed):
    with pytest.raises(ToolError, match="speed"):
        replay_nodes([scan(recording)], speed)


def test_more_columns_than_a_node_can_describe_are_refused(tmp_path):
    path = tmp_path / "r.csv"
    for count, fits in ((30, True), (60, False), (300, False)):
        header = ",".join(f"a rather long name {index}" for index in range(count))
        path.write_text(f"time,{header}\n1527825600{',1' * count}\n")
        if fits:
            (plan,) = replay_nodes([scan(path)], None)
            assert len(plan.channels) == count
        else:
            with pytest.raises(ToolError, match=f"its {count} columns are too many"):
                replay_nodes([scan(path)], None)


def test_a_recording_is_played_whatever_it_is_called_and_wherever_it_is(demo, tmp_path):
    deep = tmp_path.joinpath(*["\u6c34\u4f4d" * 20] * 4)
    deep.mkdir(parents=True)
    names = [".hidden [1].csv", 'a b "\u6c34\u4f4d" $(x).csv', os.fsdecode(b"\xff\n.csv")]
    paths = [deep / name for name in names]
    for path in paths:
        path.write_text("\u65f6\u95f4,\u6c34\u4f4d\n1527825600,1.5\n1527825601,2\n")
    running = demo(
        "--replay", *map(str, paths), "--speed", "10", "--keep", str(tmp_path / "k[1]*")
    )
    result = running.result()
    assert running.process.returncode == 0
    assert [(file["rows"], file["rows_delivered"]) for file in result["replay"]] == [(2, 2)] * 3


@pytest.mark.parametrize("columns", [60, 80])
def test_the_whole_picture_fits_an_ordinary_terminal(tmp_path, micropython, columns):
    output = on_terminal(24, columns, micropython, tmp_path, "--seconds", "2")
    picture = output.split("\x1b[2K")[-1]
    assert len(picture.split("all delivered")[0].splitlines()) < 24
    for scene in NAMED:
        assert scene.title[:10] in picture
    assert "sampled" in picture


def test_a_terminal_that_cannot_draw_gets_lines(tmp_path, micropython):
    output = on_terminal(24, 80, micropython, tmp_path, "--seconds", "1", term="dumb")
    assert "\x1b" not in output
    assert re.search(r"sampled \d+ +delivered \d+ +waiting \d+", output)


def on_terminal(
    lines: int, columns: int, micropython: Path, folder: Path, *words: str, term: str = "xterm"
) -> str:
    """Run a demo on a terminal of that size; what it wrote."""
    master, slave = os.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    environment |= {"LILONG_MICROPYTHON": str(micropython), "TERM": term, "TMPDIR": str(folder)}
    process = subprocess.Popen(
        [sys.executable, "-m", "lilong_tools", "demo", *words],
        stdout=slave,
        stderr=slave,
        env=environment,
    )
    os.close(slave)
    written = b""
    with contextlib.suppress(OSError):  # EIO: nobody has the other end any more
        while data := os.read(master, 65536):
            written += data
    os.close(master)
    assert process.wait(PATIENCE_S) == 0
    return written.decode()


def test_an_interruption_before_the_start_leaves_nothing_behind(demo, tmp_path):
    running = demo("--seconds", "60")
    until(lambda: any(tmp_path.glob("lilong-demo-*")))
    running.process.send_signal(signal.SIGINT)
    running.process.wait(PATIENCE_S)
    assert running.process.returncode in {0, 130}
    assert "Traceback" not in (tmp_path / "messages").read_text()
    assert not any(tmp_path.glob("lilong-demo-*"))


async def test_a_child_that_has_just_ended_is_ended_without_a_word(tmp_path, caplog):
    child = Child("child", ["true"], tmp_path / "log")
    await child.start()
    time.sleep(1)
    await child.end(5)
    assert caplog.text == ""


def test_the_gateway_finds_nodes_in_a_folder_with_a_strange_name(tmp_path):
    folder = tmp_path / "a[1] *"
    (folder / "nodes/x").mkdir(parents=True)
    (folder / "nodes/x/tty").touch()
    config = load_config(write_gateway(folder, [], Address("h", 1), "json", "demo"))
    assert [port.name for port in find_ports(config.ports)] == [str(folder / "nodes/x/tty")]


def delivered(*readings: tuple[str, int, str]) -> dict[object, Delivery]:
    records = [Record(name, "", Decimal(time), Decimal(value)) for name, time, value in readings]
    return {0: Delivery(0, "synced", records)}


def test_a_row_counts_only_when_each_of_its_values_came_at_its_time(tmp_path):
    path = tmp_path / "r.csv"
    path.write_text("time,a,b\n1527825600,1.5,2\n1527825601,1.5,3\n1527825602,1.6,\n")
    whole = [("a", 1527825600, "1.5"), ("b", 1527825600, "2")]
    assert played(scan(path), delivered(*whole)).rows_delivered == 1
    assert played(scan(path), delivered(*whole, ("a", 1527825601, "1.5"))).rows_delivered == 1
    assert played(scan(path), delivered(*whole, ("a", 1527825602, "1.6"))).rows_delivered == 2
    assert played(scan(path), delivered(("a", 1527825602, "1.61"))).rows_delivered == 0
    assert played(scan(path), {}).rows == 3


def test_a_repeated_row_must_come_as_often_as_it_stands_in_the_file(tmp_path):
    path = tmp_path / "r.csv"
    path.write_text("time,a\n1527825600,1\n1527825600,1\n")
    assert played(scan(path), delivered(("a", 1527825600, "1"))).rows_delivered == 1


def test_rows_of_many_digits_are_rounded_once(tmp_path):
    path = tmp_path / "r.csv"
    path.write_text("time,a\n1527825600,0.12345678901234567850000000000000000001\n")
    recording = scan(path, parse_resolution(["1e-18"]))
    assert played(recording, delivered(("a", 1527825600, "0.123456789012345679"))).rows_delivered


def test_rounded_rows_are_compared_as_the_node_rounds(tmp_path):
    path = tmp_path / "r.csv"
    path.write_text("time,a\n1527825600,0.125\n1527825601,0.135\n")
    recording = scan(path, parse_resolution(["0.01"]))
    came = delivered(("a", 1527825600, "0.12"), ("a", 1527825601, "0.14"))
    assert played(recording, came).rows_delivered == 2


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("1.250", "1.250"),
        ("47.36041774214498", "47.360"),
        ("12", "12"),
        ("0.00000002", "2.0e-8"),
        ("0", "0"),
    ],
)
def test_values_are_short_on_the_screen(value, text):
    assert short(Decimal(value)) == text
