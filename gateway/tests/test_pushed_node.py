import hashlib
from pathlib import Path

import pytest
from pushed_node import CONFIRMED, ROLLED_BACK, Maker, PushedNode

from lilong_gateway.downlink import method
from lilong_protocol import cbor
from lilong_protocol.request import APPLY, DONE, OFFER, REFUSED, STATUS, UNKNOWN, WRITE

FILES = {"a.mpy": b"x" * 3000, "b.mpy": b"y"}


def put(node: PushedNode, parcel, parts: slice = slice(None)) -> None:
    for part in parcel.parts[parts]:
        body = method.offer(part.kind, part.index, len(part.data), part.sha256)
        code, payload = node.answer(OFFER, body)
        while code == DONE and (at := cbor.decode(payload)) < len(part.data):
            code, payload = node.answer(WRITE, method.write(at, part.data))
        assert code == DONE, payload


@pytest.mark.parametrize(("keeps", "result"), [(True, CONFIRMED), (False, ROLLED_BACK)])
def test_an_update_is_taken_and_tried(tmp_path: Path, keeps: bool, result: int) -> None:
    maker = Maker()
    node = PushedNode(maker.public)
    node.keeps = keeps
    put(node, maker.update(tmp_path, 7, FILES).parcel)
    assert node.answer(APPLY, method.apply(method.SEGMENT)) == (DONE, b"")
    assert node.slot == (FILES if keeps else {})
    status = cbor.decode_sequence(node.answer(STATUS, b"")[1])
    assert (status[4], status[6], status[7]) == (7 if keeps else 0, result, 7)


def test_what_it_must_not_take_is_refused(tmp_path: Path) -> None:
    maker = Maker()
    parcel = maker.update(tmp_path, 7, FILES).parcel
    node = PushedNode(maker.public)
    with pytest.raises(AssertionError, match="no manifest"):
        put(node, parcel, slice(1, None))
    put(node, parcel, slice(0, 1))
    assert node.answer(APPLY, method.apply(method.SEGMENT))[0] == REFUSED
    with pytest.raises(AssertionError, match="not known here"):
        put(PushedNode(Maker().public), parcel)
    node.sequence = 7
    with pytest.raises(AssertionError, match="not for this node"):
        put(node, parcel)
    assert node.answer(WRITE, method.write(0, b"x"))[0] == REFUSED
    assert node.answer(99, b"")[0] == UNKNOWN


def test_a_wrong_offset_tells_the_right_one_and_wrong_bytes_are_dropped() -> None:
    node = PushedNode(bytes(32))
    digest = hashlib.sha256(b"abcd").digest()
    assert node.answer(OFFER, method.offer(0, 0, 4, digest)) == (DONE, b"\x00")
    assert node.answer(WRITE, cbor.encode_sequence((0, b"ab"))) == (DONE, b"\x02")
    assert node.answer(WRITE, cbor.encode_sequence((0, b"ab"))) == (DONE, b"\x02")
    node.lose_power()
    assert node.answer(OFFER, method.offer(0, 0, 4, digest)) == (DONE, b"\x02")
    assert node.answer(WRITE, cbor.encode_sequence((2, b"xx"))) == (DONE, b"\x00")
