import json
import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest

from lilong_protocol.acknowledgement import MAX_WINDOW
from lilong_tools.__main__ import main
from lilong_tools.errors import ToolError
from lilong_tools.radio_plan.air import Air
from lilong_tools.radio_plan.book import Book
from lilong_tools.radio_plan.figures import (
    Capacity,
    capacities,
    course,
    round_s,
    staleness_s,
    visits_per_min,
)
from lilong_tools.radio_plan.simulator import Setup, Simulator
from lilong_tools.radio_plan.tally import quantile

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/ble.md"
STREET = Setup(nodes=40)
CALM = {"advert.lost": 0.0, "connect.failed": 0.0, "connect.hanging": 0.0}


def air(nodes: int = 1, **changed: float) -> Air:
    names = {name.replace("__", "."): value for name, value in changed.items()}
    return Air(Book(CALM | names), nodes, Random(7))


def test_a_connect_takes_as_long_as_was_computed_by_hand():
    # Half an interval until the advertisement, 2 intervals, 14 questions of 2 intervals, and
    # 1 - exp(-2 * 0.376 / 1000) of the advertisements that collide.
    assert air().connect_ms() == pytest.approx(500 + 100 + 1400 + 1005 * 0.000752, rel=1e-4)


def test_what_fails_and_what_hangs_is_part_of_a_connect():
    found = air(connect__failed=0.1, connect__hanging=0.1).connect_ms()
    failed_ms = (0.1 * (500 + 6 * 50) + 0.1 * 20_000) / 0.8
    assert found == pytest.approx(air().connect_ms() + failed_ms, rel=1e-3)


def test_the_time_of_a_transfer_is_that_of_its_windows():
    # A round trip of 100 ms, 10 ms of commit; 16 batches of 138 bytes are ten values: three
    # events, of which the first is that of the round trip.
    assert air().transfer_ms(1) == 100 + 10 + 5
    assert air().transfer_ms(16) == 100 + 10 + 2 * 50
    assert air().transfer_ms(17) == 2 * 210


def test_an_alarm_is_heard_ten_times_sooner():
    quiet = air()
    usual = [quiet.until_heard_ms(0, alarm=False) for _ in range(400)]
    alarms = [quiet.until_heard_ms(0, alarm=True) for _ in range(400)]
    assert sum(alarms) * 8 < sum(usual) < sum(alarms) * 12


def test_a_crowd_is_heard_less_and_too_great_a_crowd_is_refused():
    few, many = air(nodes=10), air(nodes=1000)
    assert many.connect_ms() > 1.5 * few.connect_ms()
    with pytest.raises(ToolError, match="drown each other"):
        air(nodes=4096, advert__interval=500)


def test_the_same_seed_gives_the_same_course_and_another_one_another():
    def ages(seed: int) -> list[int]:
        simulator = Simulator(replace(STREET, alarms_per_h=60), Book(), seed)
        simulator.make_reports()
        simulator.agenda.run(900_000)
        return simulator.tally.ages_ms

    assert ages(1) == ages(1) != ages(2)


def test_every_batch_arrives_once():
    simulator = Simulator(STREET, Book())
    simulator.fill(200)
    simulator.agenda.run(7_200_000, lambda: not simulator.waiting)
    assert simulator.waiting == 0
    assert len(simulator.tally.ages_ms) == 40 * 200


def test_the_simulation_makes_as_many_visits_as_the_arithmetic_allows():
    busy = replace(STREET, nodes=60, report_s=10)
    found = course(busy, Book())
    assert found.visits_per_min == pytest.approx(visits_per_min(busy, Book()), rel=0.08)
    assert found.connect_share > 0.97
    assert found.slot_share < 0.5


def test_one_slot_makes_fewer_visits_than_three_and_five_no_more():
    found = [visits_per_min(replace(STREET, slots=slots), Book()) for slots in (1, 2, 3, 5)]
    assert found[0] == found[1] < found[2] == found[3]


def test_a_round_is_longer_with_more_nodes_and_shorter_with_more_adapters():
    rounds = [round_s(replace(STREET, nodes=nodes), Book()) for nodes in (10, 40, 160)]
    assert all(later > 2 * earlier for earlier, later in pairwise(rounds))
    assert round_s(replace(STREET, adapters=2), Book()) < 0.7 * rounds[1]


def test_alarms_are_known_before_data_is_fetched_and_confirmed_after_they_are_known():
    found = course(STREET, Book())
    assert found.alarms > 100
    assert found.alarm_known_ms.p50 < 1_000 < found.alarm_confirmed_ms.p50
    assert found.alarm_confirmed_ms.p50 < found.staleness_s.p50 * 1_000
    assert not found.behind


def test_an_alarm_is_known_sooner_with_a_second_adapter():
    one, two = (course(replace(STREET, adapters=count), Book()) for count in (1, 2))
    assert two.alarm_known_ms.p99 < one.alarm_known_ms.p99


def test_bystanders_fill_the_air():
    lonely, crowded = (course(replace(STREET, bystanders=count), Book()) for count in (0, 400))
    assert crowded.advert_share == pytest.approx(11 * lonely.advert_share)
    assert crowded.visits_per_min < 0.9 * lonely.visits_per_min


def test_as_many_nodes_as_are_told_are_served_in_time():
    rows = [row for row in capacities(STREET, Book(), check=False) if row.within_s == 600]
    assert [row.report_s for row in rows] == [10, 60, 600]
    served = replace(STREET, nodes=rows[1].nodes, report_s=60)
    assert staleness_s(served, Book()).p99 <= 600
    assert staleness_s(replace(served, nodes=2 * served.nodes), Book()).p99 > 600


def test_the_longer_one_may_wait_the_more_nodes_are_served():
    rows = list(capacities(STREET, Book()))
    assert [(row.report_s, row.within_s) for row in rows] == [
        *((10, 10), (10, 600), (60, 60), (60, 600), (600, 600), (3600, 3600)),
    ]
    by_time = sorted(rows, key=lambda row: row.within_s)
    assert [row.nodes for row in by_time] == sorted(row.nodes for row in rows)
    assert all(row.nodes > 0 for row in rows)


def test_a_quantile_is_not_exceeded_by_its_share():
    assert quantile(list(range(100)), 0.5) == 50
    assert quantile(list(range(100)), 0.99) == 99
    assert quantile([], 0.5) == 0


def test_every_assumption_says_its_unit_and_where_it_comes_from():
    for one in Book():
        assert one.value > 0, one.name
        assert one.unit, one.name
        assert re.match(
            r"(setting|SPEC|Bluetooth Core|computed|estimate|Linux|lilong_|MTU|60 readings)",
            one.source,
        ), one.name


def test_the_assumptions_are_those_of_the_gateway_and_of_the_protocol():
    book = Book()
    call = (ROOT / "gateway/lilong_gateway/radio/call.py").read_text("utf-8")
    assert f"_QUIET_MS = {book['visit.quiet']:g}\n" in call
    assert book["batch.window"] == MAX_WINDOW


def test_the_page_holds_what_the_command_computes(capsys):
    text = PAGE.read_text("utf-8")
    assert main(["radio", "plan", "--markdown"]) == 0
    table, assumed = capsys.readouterr().out.strip().split("\n\n")
    assert assumed in text
    for row in table.splitlines()[2:]:
        cells = row.removesuffix("|  |  |")
        assert cells != row
        assert re.search(rf"^{re.escape(cells)}\| .*\d", text, re.MULTILINE), row


def test_the_command_prints_figures_bars_and_that_nothing_was_measured(capsys):
    assert main(["radio", "plan", "--nodes", "20"]) == 0
    text = capsys.readouterr().out
    assert "20 nodes reporting every 1 min" in text
    assert "nothing was measured" in text
    bars = re.findall(r"within .*?(\d+) (█+)", text)
    assert len(bars) == 6
    assert max(bars, key=lambda bar: int(bar[0]))[1] == "█" * 40


def test_the_command_prints_json_with_what_was_assumed_instead(capsys):
    words = ["--nodes", "20", "--slots", "3", "--adapters", "2", "--report-s", "600"]
    assert main(["radio", "plan", "--json", "--assume", "connect.interval=15", *words]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["nodes"], found["slots"], found["adapters"]) == (20, 3, 2)
    assert found["measured"] is False
    assert 0 < found["round_s"] < 60
    assert set(found["staleness_s"]) == set(found["alarm_known_ms"]) == {"p50", "p99"}
    assert set(found["nodes_per_gateway"][0]) == set(Capacity.__dataclass_fields__)
    assert found["assumptions"]["connect.interval"] == {
        "value": 15,
        "unit": "ms",
        "source": "given",
    }


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["--assume", "connect.speed=1"], "there is no assumption 'connect.speed'"),
        (["--assume", "connect.interval=fast"], "connect.interval cannot be 'fast'"),
        (["--assume", "connect.failed=1"], "give 0 to 0.9"),
        (["--nodes", "5000"], "more than 4096 nodes"),
        (["--adapters", "9"], "more than 8 adapters"),
        (["--report-s", "0.1"], "give 1 to 86400"),
    ],
)
def test_what_cannot_be_planned_is_refused_with_a_remedy(words, problem, capsys):
    assert main(["radio", "plan", *words]) == 2
    assert problem in capsys.readouterr().err
