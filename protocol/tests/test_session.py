import pathlib
import runpy
import types

import pytest

from lilong_protocol import events, frame, handshake
from lilong_protocol.gateway_session import GatewaySession
from lilong_protocol.memory_outbox import MemoryOutbox
from lilong_protocol.node_session import CLOSED, DESCRIBING, GREETING, OPEN, NodeSession

HERE = pathlib.Path(__file__).parent
bench = types.SimpleNamespace(**runpy.run_path(str(HERE / "check_session.py")))
OTHER_KEY = bytes(16)


def filled(count: int, stream: int = frame.DATA_STREAM, epoch: int = 9) -> MemoryOutbox:
    outbox = MemoryOutbox(epoch)
    for number in range(count):
        outbox.append(stream, b"item" + bytes([number]))
    return outbox


def frames(node: NodeSession, now_ms: int) -> list[bytes]:
    polled = []
    while (data := node.poll(now_ms)) is not None:
        polled.append(data)
    return polled


def kinds(happened: list[events.Event], kind: type) -> list[events.Event]:
    return [event for event in happened if isinstance(event, kind)]


@pytest.fixture
def gateway() -> types.SimpleNamespace:
    return bench.Gateway({bench.EUI: [bench.KEY]})


def test_the_contract_holds_with_a_quarter_of_all_frames_lost() -> None:
    bench.check_delivery_with_loss()


def test_every_batch_arrives_once_and_unchanged(gateway) -> None:
    node = bench.make_node(filled(100))
    bench.exchange(node, gateway, 0, 2000)
    assert [gateway.store[bench.EUI, 9, 2, seq] for seq in range(100)] == [
        b"item" + bytes([number]) for number in range(100)
    ]
    assert node.idle


def test_nothing_is_let_go_before_it_is_stored(gateway) -> None:
    gateway.stores = False
    outbox = filled(3)
    node = bench.make_node(outbox)
    bench.exchange(node, gateway, 0, 5000)
    assert kinds(gateway.seen, events.BatchReceived)
    assert outbox.first(frame.DATA_STREAM) == 0
    assert not node.idle


def test_an_alarm_overtakes_a_backlog(gateway) -> None:
    outbox = filled(50)
    node = bench.make_node(outbox)
    bench.exchange(node, gateway, 0, 30)
    outbox.append(frame.ALARM_STREAM, b"alarm")
    at_once = frames(node, 40)
    assert frame.parse_header(at_once[0]).stream == frame.ALARM_STREAM


def test_no_more_than_a_window_is_under_way(gateway) -> None:
    gateway.stores = False
    node = bench.make_node(filled(50))
    bench.exchange(node, gateway, 0, 100)
    assert len(kinds(gateway.seen, events.BatchReceived)) == 16


def test_a_wrong_key_is_refused_and_named(gateway) -> None:
    gateway.session = GatewaySession({bench.EUI: [OTHER_KEY]}.get, bench.Random(3))
    node = bench.make_node(filled(1))
    bench.exchange(node, gateway, 0, 3000)
    refused = kinds(gateway.seen, events.Refused)
    assert refused
    assert {(event.reason, event.eui) for event in refused} == {("wrong key", bench.EUI)}
    assert gateway.session.counters["refused"] == len(refused)
    assert node.state == GREETING


def test_an_unknown_node_is_refused(gateway) -> None:
    gateway.session = GatewaySession({}.get, bench.Random(3))
    bench.exchange(bench.make_node(filled(1)), gateway, 0, 100)
    assert [event.reason for event in kinds(gateway.seen, events.Refused)] == ["unknown node"]


def test_hellos_come_ever_more_rarely_without_an_answer() -> None:
    node = bench.make_node(filled(1))
    sent = [now_ms for now_ms in range(0, 60000, 10) if frames(node, now_ms)]
    gaps = [later - earlier for earlier, later in zip(sent, sent[1:], strict=False)]
    assert gaps[0] < 1000
    assert 8000 <= gaps[-1] <= 10100
    assert gaps[:4] == sorted(gaps[:4])


def test_a_changed_bit_anywhere_never_authenticates(gateway) -> None:
    node = bench.make_node(filled(2))
    bench.exchange(node, gateway, 0, 30)
    node_frames = frames(bench.make_node(filled(1)), 0)
    fresh = bench.Gateway({bench.EUI: [bench.KEY]})
    for data in node_frames:
        for bit in range(8 * len(data)):
            damaged = bytearray(data)
            damaged[bit // 8] ^= 1 << bit % 8
            happened = fresh.session.receive(bytes(damaged), 0)
            assert not kinds(happened, events.HelloReceived)


def test_a_stripped_version_offer_never_authenticates(gateway) -> None:
    node = bench.make_node(filled(1))
    hello = bytearray(node.poll(0))
    hello[frame.HEADER_BYTES + 1] += 1
    assert [type(event) for event in gateway.session.receive(bytes(hello), 0)] == [events.Refused]


def test_a_node_of_another_version_is_refused_after_its_tag_was_checked(gateway) -> None:
    hello = bytearray(bench.make_node(filled(1)).poll(0))
    hello[frame.HEADER_BYTES : frame.HEADER_BYTES + 2] = b"\x05\x06"
    (event,) = gateway.session.receive(bytes(hello), 0)
    assert event.reason == "wrong key"


def test_a_repeated_frame_is_not_taken_again(gateway) -> None:
    node = bench.make_node(filled(1))
    bench.exchange(node, gateway, 0, 30)
    (outbox_frame,) = frames(bench.make_node(filled(1)), 0)
    before = len(gateway.store)
    gateway.receive(outbox_frame, 50)
    node_again = bench.make_node(filled(1))
    assert node_again.state == CLOSED
    assert len(gateway.store) == before


def test_a_replayed_data_frame_is_counted_as_unauthentic(gateway) -> None:
    outbox = filled(1)
    node = bench.make_node(outbox)
    recorded = []
    receive = gateway.receive

    def tap(data: bytes, now_ms: int) -> None:
        recorded.append(data)
        receive(data, now_ms)

    gateway.receive = tap
    bench.exchange(node, gateway, 0, 100)
    data_frames = [data for data in recorded if frame.parse_header(data).kind == frame.DATA]
    assert len(data_frames) == 1
    receive(data_frames[0], 200)
    assert gateway.session.counters["unauthentic"] == 1
    assert len(gateway.store) == 1


def test_a_replayed_hello_does_not_end_the_session_in_force(gateway) -> None:
    outbox = filled(1)
    node = bench.make_node(outbox)
    hello = node.poll(0)
    gateway.receive(hello, 0)
    bench.exchange(node, gateway, 5, 1000)
    gateway.receive(hello, 1005)
    assert gateway.session.poll(1005) is not None
    outbox.append(frame.DATA_STREAM, b"after")
    bench.exchange(node, gateway, 1010, 100)
    assert gateway.store[bench.EUI, 9, 2, 1] == b"after"
    assert not kinds(gateway.seen, events.Closed)


def test_a_gateway_that_starts_again_gets_what_it_lacks(gateway) -> None:
    outbox = filled(20)
    node = bench.make_node(outbox)
    bench.exchange(node, gateway, 0, 1000)
    again = bench.Gateway({bench.EUI: [bench.KEY]}, seed=8)
    again.store = gateway.store
    again.session.hint()
    for number in range(20, 40):
        outbox.append(frame.DATA_STREAM, b"item" + bytes([number]))
    bench.exchange(node, again, 3000, 3000)
    assert len(again.store) == 40
    assert node.idle


def test_a_node_that_starts_again_goes_on_where_its_outbox_stands(gateway) -> None:
    outbox = filled(20)
    bench.exchange(bench.make_node(outbox), gateway, 0, 40)
    bench.exchange(bench.make_node(outbox, seed=5), gateway, 0, 3000)
    assert len(gateway.store) == 20


def test_a_lying_reset_does_not_disturb_a_living_session(gateway) -> None:
    node = bench.make_node(filled(1))
    bench.exchange(node, gateway, 0, 600)
    node.receive(frame.Header(frame.RESET).pack(), 601)
    assert node.state == OPEN


def test_a_silent_gateway_is_given_up(gateway) -> None:
    outbox = filled(1)
    node = bench.make_node(outbox)
    bench.exchange(node, gateway, 0, 2000)
    outbox.append(frame.DATA_STREAM, b"unheard")
    lost: list[events.Event] = []
    for now_ms in range(2000, 60000, 10):
        frames(node, now_ms)
        lost += kinds(node.events(), events.Lost)
    assert [event.reason for event in lost] == ["no acknowledgement"]
    assert node.state == GREETING


def test_silence_is_noticed_without_any_data(gateway) -> None:
    node = bench.make_node(MemoryOutbox(1))
    bench.exchange(node, gateway, 0, 2000)
    for now_ms in range(2000, 90000, 50):
        frames(node, now_ms)
    assert node.counters["lost"] == 1


def test_what_gave_way_to_newer_batches_is_reported(gateway) -> None:
    outbox = MemoryOutbox(9, capacity=4)
    node = bench.make_node(outbox)
    bench.exchange(node, gateway, 0, 500)
    for number in range(10):
        outbox.append(frame.DATA_STREAM, b"item" + bytes([number]))
    bench.exchange(node, gateway, 500, 3000)
    (advanced,) = kinds(gateway.seen, events.Advanced)
    assert (advanced.stream, advanced.first, advanced.missing) == (2, 6, 6)
    assert [key[3] for key in gateway.store] == [6, 7, 8, 9]
    assert node.idle


def test_a_full_store_makes_the_node_wait_without_giving_up(gateway) -> None:
    outbox = filled(1)
    node = bench.make_node(outbox)
    bench.exchange(node, gateway, 0, 500)
    gateway.session.pause()
    bench.exchange(node, gateway, 500, 100)
    for number in range(5):
        outbox.append(frame.DATA_STREAM, b"later" + bytes([number]))
    bench.exchange(node, gateway, 600, 40000)
    assert len(gateway.store) == 1
    assert node.counters["lost"] == 0
    gateway.session.resume()
    bench.exchange(node, gateway, 40600, 5000)
    assert len(gateway.store) == 6


def test_a_batch_that_could_not_be_stored_is_taken_when_it_comes_again(gateway) -> None:
    gateway.stores = False
    node = bench.make_node(filled(1))
    bench.exchange(node, gateway, 0, 100)
    gateway.session.dropped(9, frame.DATA_STREAM, 0)
    gateway.stores = True
    bench.exchange(node, gateway, 100, 5000)
    assert len(gateway.store) == 1


def test_a_gateway_without_a_clock_gives_no_time() -> None:
    gateway = bench.Gateway({bench.EUI: [bench.KEY]}, time_ms=None)
    node = bench.make_node(filled(3))
    happened = bench.exchange(node, gateway, 0, 130000)
    assert not kinds(happened, events.Synchronised)
    assert node.counters["lost"] == 0
    assert len(gateway.store) == 3


def test_the_first_offset_of_a_boot_is_the_one_described_ever_after(gateway) -> None:
    node = bench.make_node(filled(1))
    bench.exchange(node, gateway, 0, 2000)
    first = node.boot_epoch_ms
    later = bench.Gateway({bench.EUI: [bench.KEY]}, seed=4, time_ms=bench.CENTURY_MS + 777)
    later.session.hint()
    bench.exchange(node, later, 4000, 3000)
    (described,) = kinds(later.seen, events.Described)
    assert described.epoch_ms_at_boot == first


def test_a_known_descriptor_is_not_sent_again(gateway) -> None:
    bench.exchange(bench.make_node(filled(1)), gateway, 0, 1000)
    bench.exchange(bench.make_node(filled(1), seed=6), gateway, 0, 1000)
    described = kinds(gateway.seen, events.Described)
    assert [event.descriptor for event in described] == [b"descriptor", None]


def test_keys_are_renewed_after_a_day(gateway) -> None:
    node = bench.make_node(filled(1))
    bench.exchange(node, gateway, 0, 1000)
    bench.exchange(node, gateway, 86400001, 1000)
    assert node.counters["sessions"] == 2


def test_forgeries_end_a_session_only_in_their_thousands(gateway) -> None:
    node = bench.make_node(filled(1))
    bench.exchange(node, gateway, 0, 1000)
    forged = frame.Header(frame.DATA, 1 << 20).pack() + bytes(20)
    for _ in range(1023):
        gateway.receive(forged, 1000)
    assert gateway.session.eui == bench.EUI
    gateway.receive(forged, 1000)
    assert gateway.session.eui is None
    assert gateway.session.counters["unauthentic"] == 1024


def test_a_describe_is_answered_again_when_the_answer_got_lost(gateway) -> None:
    node = bench.make_node(filled(1))
    gateway.receive(node.poll(0), 0)
    node.receive(gateway.session.poll(0), 0)
    assert node.state == DESCRIBING
    gateway.receive(node.poll(0), 0)
    assert gateway.session.poll(0) is not None
    for now_ms in range(0, 4000, 100):
        for data in frames(node, now_ms):
            gateway.receive(data, now_ms)
    node.receive(gateway.session.poll(4000), 4000)
    assert node.state == OPEN


def test_a_short_or_strange_frame_is_counted_and_dropped(gateway) -> None:
    node = bench.make_node(filled(1))
    for junk in (b"", b"x", bytes(7), bytes(2000), b"\xff" * 40, handshake.welcome_header()):
        gateway.receive(junk, 0)
        node.receive(junk, 0)
    assert gateway.session.counters["undecodable"] == 5
    assert node.state == CLOSED
