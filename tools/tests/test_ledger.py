from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lilong_tools.city.pack import Record
from lilong_tools.demo.ledger import Account, Channel, Delivery, settle
from lilong_tools.demo.trace import Trace, TraceFile

LEVEL = Channel(0, "level", "m", -3, -3)
COUNT = Channel(1, "count", "count", 0, 0)
CHANNELS = [LEVEL, COUNT]
UNIX_2000 = 946684800
T0 = 800_000_000_000


def traced(*lines: str) -> Trace:
    trace = Trace()
    for line in lines:
        trace.feed(line)
    assert trace.damaged == 0
    return trace


def level(number: int, value: int, unix_ms: int = 1000) -> str:
    return f"s 0 {T0 + number} {value} {unix_ms}"


def record(number: int, value: int) -> Record:
    time = Decimal(T0 + number).scaleb(-3) + UNIX_2000
    return Record("level", "m", time, Decimal(value).scaleb(-3))


def delivery(*records: Record, quality: str = "synced") -> Delivery:
    return Delivery(1500, quality, records)


def fates(account: Account) -> tuple[int, ...]:
    return (account.delivered, account.lost, account.duplicated, account.mismatched)


THREE = ("b 1 7 0", level(0, 10), level(1, 11), level(2, 12), "j 7 2 0 3 0")


def test_all_that_came_as_sampled_is_delivered():
    account = settle(
        traced(*THREE, "e"),
        CHANNELS,
        {(7, 2, 0): delivery(record(0, 10), record(1, 11), record(2, 12))},
    )
    assert fates(account) == (3, 0, 0, 0)
    assert account.faultless
    assert account.latencies_ms == [500, 500, 500]


def test_what_a_node_tells_of_itself_counts_and_has_no_latency():
    own = Channel(204, "level", "m", -3, -3)
    lines = [line.replace("s 0 ", "s 204 ") for line in THREE[:-1]] + ["j 7 2 0 3 204"]
    came = {(7, 2, 0): delivery(record(0, 10), record(1, 11), record(2, 12))}
    account = settle(traced(*lines, "e"), [own], came)
    assert fates(account) == (3, 0, 0, 0)
    assert account.latencies_ms == []


def test_a_batch_that_never_came_is_lost():
    account = settle(traced(*THREE), CHANNELS, {})
    assert fates(account) == (0, 3, 0, 0)
    assert not account.faultless


def test_a_reading_missing_from_its_batch_is_lost():
    account = settle(traced(*THREE), CHANNELS, {(7, 2, 0): delivery(record(0, 10), record(2, 12))})
    assert fates(account) == (2, 1, 0, 0)


def test_a_reading_twice_in_its_batch_is_duplicated():
    came = delivery(record(0, 10), record(1, 11), record(1, 11), record(2, 12))
    assert fates(settle(traced(*THREE), CHANNELS, {(7, 2, 0): came})) == (3, 0, 1, 0)


def test_an_altered_value_is_mismatched():
    came = delivery(record(0, 10), record(1, 99), record(2, 12))
    assert fates(settle(traced(*THREE), CHANNELS, {(7, 2, 0): came})) == (2, 0, 0, 1)


def test_an_altered_time_is_mismatched():
    came = delivery(record(0, 10), replace(record(1, 11), time=record(3, 0).time), record(2, 12))
    assert fates(settle(traced(*THREE), CHANNELS, {(7, 2, 0): came})) == (2, 0, 0, 1)


def test_another_unit_is_mismatched():
    came = delivery(record(0, 10), record(1, 11), replace(record(2, 12), unit="Cel"))
    assert fates(settle(traced(*THREE), CHANNELS, {(7, 2, 0): came})) == (2, 0, 0, 1)


def test_a_scale_off_by_ten_is_mismatched():
    wrong = replace(record(2, 12), value=Decimal("0.12"))
    came = delivery(record(0, 10), record(1, 11), wrong)
    assert fates(settle(traced(*THREE), CHANNELS, {(7, 2, 0): came})) == (2, 0, 0, 1)


def test_another_channel_name_is_lost_and_mismatched():
    came = delivery(record(0, 10), record(1, 11), replace(record(2, 12), name="depth"))
    assert fates(settle(traced(*THREE), CHANNELS, {(7, 2, 0): came})) == (2, 1, 0, 1)


def test_readings_of_one_moment_in_another_order_are_mismatched():
    trace = traced("b 1 7 0", level(0, 1), level(0, 2), "j 7 2 0 2 0")
    account = settle(trace, CHANNELS, {(7, 2, 0): delivery(record(0, 2), record(0, 1))})
    assert account.mismatched == 2


def test_a_clock_that_went_back_is_no_fault():
    trace = traced("b 1 7 0", level(5, 1), level(3, 2), "j 7 2 0 2 0")
    account = settle(trace, CHANNELS, {(7, 2, 0): delivery(record(3, 2), record(5, 1))})
    assert fates(account) == (2, 0, 0, 0)


def test_a_batch_never_sampled_is_mismatched():
    came = {
        (7, 2, 0): delivery(record(0, 10), record(1, 11), record(2, 12)),
        (7, 2, 1): delivery(record(9, 1)),
    }
    assert fates(settle(traced(*THREE), CHANNELS, came)) == (3, 0, 0, 1)


def test_a_batch_that_repeats_delivered_readings_is_duplicated():
    came = {
        (7, 2, 0): delivery(record(0, 10), record(1, 11), record(2, 12)),
        (7, 2, 1): delivery(record(1, 11), record(2, 12)),
    }
    assert fates(settle(traced(*THREE), CHANNELS, came)) == (3, 0, 2, 0)


def test_a_batch_under_another_epoch_does_not_cover_for_the_one_that_was_lost():
    came = {(8, 2, 0): delivery(record(0, 10), record(1, 11), record(2, 12))}
    account = settle(traced(*THREE), CHANNELS, came)
    assert account.lost == 3
    assert account.duplicated == 3


def test_two_channels_of_one_batch_are_told_apart():
    trace = traced(
        "b 1 7 0",
        level(0, 10),
        "s 1 800000000 4 1000",
        level(1, 11),
        "s 1 800000001 5 1000",
        "j 7 2 0 4 0 1",
    )
    counts = [
        Record("count", "count", Decimal(UNIX_2000 + 800000000 + i), Decimal(4 + i))
        for i in (0, 1)
    ]
    good = {(7, 2, 0): delivery(record(0, 10), counts[0], record(1, 11), counts[1])}
    assert fates(settle(trace, CHANNELS, good)) == (4, 0, 0, 0)
    swapped = [replace(counts[0], value=Decimal(5)), replace(counts[1], value=Decimal(4))]
    bad = {(7, 2, 0): delivery(record(0, 10), swapped[0], record(1, 11), swapped[1])}
    assert fates(settle(trace, CHANNELS, bad)) == (2, 0, 0, 2)


def test_what_a_killed_node_had_not_journalled_is_unsealed_not_lost():
    trace = traced(*THREE, level(3, 13), "b 2 7 0", level(4, 14), "j 7 2 1 1 0", "e")
    came = {
        (7, 2, 0): delivery(record(0, 10), record(1, 11), record(2, 12)),
        (7, 2, 1): delivery(record(4, 14)),
    }
    account = settle(trace, CHANNELS, came)
    assert fates(account) == (4, 0, 0, 0)
    assert account.unsealed == 1


def test_what_an_orderly_end_left_behind_is_lost():
    came = {(7, 2, 0): delivery(record(0, 10), record(1, 11), record(2, 12))}
    assert settle(traced(*THREE, level(3, 13)), CHANNELS, came).unsealed == 1
    account = settle(traced(*THREE, level(3, 13), "e"), CHANNELS, came)
    assert (account.lost, account.unsealed) == (1, 0)


def test_a_batch_journalled_in_the_moment_of_the_kill_is_delivered():
    trace = traced(*THREE, level(3, 13), level(4, 14), "b 2 7 0", "e")
    came = {
        (7, 2, 0): delivery(record(0, 10), record(1, 11), record(2, 12)),
        (7, 2, 1): delivery(record(3, 13)),
    }
    account = settle(trace, CHANNELS, came)
    assert fates(account) == (4, 0, 0, 0)
    assert account.unsealed == 1


def test_a_batch_that_skips_what_was_sampled_first_is_not_taken_for_the_killed_one():
    trace = traced(*THREE, level(3, 13), level(4, 14), "b 2 7 0", "e")
    came = {
        (7, 2, 0): delivery(record(0, 10), record(1, 11), record(2, 12)),
        (7, 2, 1): delivery(record(4, 14)),
    }
    assert settle(trace, CHANNELS, came).mismatched == 1


EARLY = ("b 1 7 0", "s 0 u1500 10 1000", "s 0 u2500 11 2000", "j 7 2 0 2 0")


def test_restamped_readings_carry_the_offset_of_the_node():
    trace = traced(*EARLY, f"y {T0 - 1500}", "e")
    good = delivery(record(0, 10), record(1000, 11), quality="restamped")
    account = settle(trace, CHANNELS, {(7, 2, 0): good})
    assert fates(account) == (2, 0, 0, 0)
    assert account.time_unknown == 0
    bad = delivery(record(1, 10), record(1000, 11), quality="restamped")
    assert fates(settle(trace, CHANNELS, {(7, 2, 0): bad})) == (1, 0, 0, 1)


def test_any_offset_the_node_knew_in_that_life_will_do():
    trace = traced(*EARLY, f"y {T0 - 1500}", f"y {T0 - 1400}", "e")
    came = delivery(record(0, 10), record(1000, 11), quality="restamped")
    assert settle(trace, CHANNELS, {(7, 2, 0): came}).faultless


def test_the_offset_of_another_life_will_not_do():
    trace = traced(*EARLY, f"y {T0 - 1400}", "b 2 7 0", f"y {T0 - 1500}", "e")
    came = delivery(record(0, 10), record(1000, 11), quality="restamped")
    assert settle(trace, CHANNELS, {(7, 2, 0): came}).mismatched == 2


def test_bounded_readings_are_compared_by_value_and_their_time_counted_unknown():
    trace = traced(*EARLY, "e")
    good = settle(
        trace, CHANNELS, {(7, 2, 0): delivery(record(7, 10), record(9, 11), quality="bounded")}
    )
    assert fates(good) == (2, 0, 0, 0)
    assert good.time_unknown == 2
    bad = settle(
        trace, CHANNELS, {(7, 2, 0): delivery(record(7, 10), record(9, 12), quality="bounded")}
    )
    assert fates(bad) == (1, 0, 0, 1)


def test_a_withheld_channel_is_neither_lost_nor_allowed_to_come():
    assert settle(traced(*THREE), CHANNELS, {}, withheld={0}).withheld == 3
    leaked = {(7, 2, 0): delivery(record(0, 10))}
    assert settle(traced(*THREE), CHANNELS, leaked, withheld={0}).mismatched == 1


def test_a_node_that_never_started_has_an_empty_account():
    assert settle(Trace(), CHANNELS, {}) == Account()


@pytest.mark.parametrize("line", ["s 0 1", "j 7 2 0 1 0", "j 7 2 0 1", "s a b c d", "y x"])
def test_a_damaged_line_is_counted(line):
    trace = traced("b 1 7 0")
    assert trace.feed(line) is None
    assert trace.damaged == 1


def test_a_trace_that_is_still_written_is_read_by_whole_lines(tmp_path):
    path = tmp_path / "trace.log"
    file = TraceFile(path)
    assert file.read() == []
    path.write_text("b 1 7 0\n" + level(0, 1) + "\nj 7 2")
    assert file.read() == []
    assert file.trace.sampled == 1
    with path.open("a") as more:
        more.write(" 0 1 0\n")
    assert file.read() == [(7, 2, 0)]
    assert file.trace.journalled == 1


def test_bytes_on_the_line_add_up_over_the_lives_of_a_node():
    trace = traced("b 1 7 0", "m 10 20 100 5", "m 10 25 150 5", "b 2 7 0", "m 10 22 30 5")
    assert trace.link_bytes == 180
    assert trace.memory.used == 22


@given(st.data())
def test_every_reading_has_exactly_one_fate(data):
    values = data.draw(st.lists(st.integers(-5, 5), min_size=1, max_size=12))
    lines, came, taken = ["b 1 7 0"], {}, 0
    for seq, size in enumerate(data.draw(st.lists(st.integers(1, 4), max_size=4))):
        part = list(range(taken, min(taken + size, len(values))))
        if not part:
            break
        lines += [level(i, values[i]) for i in part] + [f"j 7 2 {seq} {len(part)} 0"]
        taken += len(part)
        kept = [i for i in part if data.draw(st.booleans())]
        came[7, 2, seq] = delivery(*(record(i, values[i]) for i in kept))
    account = settle(traced(*lines), CHANNELS, came)
    assert account.delivered == sum(len(batch.records) for batch in came.values())
    assert account.delivered + account.lost == account.sampled
    assert (account.duplicated, account.mismatched) == (0, 0)


@given(st.data())
def test_one_changed_reading_is_always_found(data):
    values = data.draw(st.lists(st.integers(-3, 3), min_size=1, max_size=8))
    records = [record(i, value) for i, value in enumerate(values)]
    victim = data.draw(st.integers(0, len(values) - 1))
    shift = data.draw(st.integers(1, 3))
    records[victim] = data.draw(
        st.sampled_from(
            [
                replace(records[victim], value=records[victim].value + shift),
                replace(records[victim], time=records[victim].time + Decimal("0.0001")),
                replace(records[victim], unit="K"),
            ]
        )
    )
    lines = [level(i, value) for i, value in enumerate(values)]
    trace = traced("b 1 7 0", *lines, f"j 7 2 0 {len(values)} 0", "e")
    assert not settle(trace, CHANNELS, {(7, 2, 0): delivery(*records)}).faultless
