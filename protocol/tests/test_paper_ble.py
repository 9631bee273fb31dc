import importlib
import json
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lilong_protocol.advert_reader import AdvertOpener
from lilong_protocol.errors import AuthenticationError
from lilong_protocol.pieces import PieceReader

TESTS = Path(__file__).parent
sys.path.insert(0, str(TESTS))
paper = importlib.import_module("paper_ble")
sealer = importlib.import_module("vector_adverts")
fuzz_input = importlib.import_module("fuzz_input")
octets = bytes.fromhex


def load(name: str) -> dict[str, Any]:
    text = (TESTS.parent / "vectors" / f"{name}.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def test_the_paper_decoder_finds_every_frame_in_values() -> None:
    vectors = load("pieces")
    for case in vectors["cut"] + vectors["read"]:
        link, frames = paper.Link(), []
        for value in case["values"]:
            frames += link.take(octets(value))
        assert [data.hex() for data in frames] == case["frames"], case
        counted = (link.damaged, link.oversized)
        assert counted == (case.get("damaged", 0), case.get("oversized", 0)), case


def test_the_paper_decoder_reads_every_advertisement() -> None:
    vectors = load("adverts")
    for case in vectors["encoded"]:
        assert paper.advert_key(octets(case["key"])).hex() == case["advert_key"]
        data = paper.advert_of(octets(case["payload"]))
        assert data.hex() == case["hex"]
        read = paper.open_advert(octets(case["key"]), data)._asdict()
        assert (read.pop("eui").hex(), read.pop("counter")) == (case["eui"], case["counter"])
        assert read == case["reads"], case
        named = paper.read_response(octets(case["scan_response"]))
        assert named == (paper.SERVICE, "lilong " + case["eui"][-4:])
    for case in vectors["accepted"]:
        read = paper.open_advert(octets(case["key"]), octets(case["hex"]))._asdict()
        assert {name: read[name] for name in case["reads"]} == case["reads"]


def test_the_paper_decoder_reads_no_advertisement_that_is_spoilt() -> None:
    for case in load("adverts")["refused"]:
        assert read_by_paper(octets(case["key"]), octets(case["hex"])) is None, case


def read_by_paper(key: bytes, data: bytes) -> dict[str, Any] | None:
    try:
        read: dict[str, Any] = paper.open_advert(key, data)._asdict()
    except ValueError:
        return None
    return read


def read_by_us(key: bytes, data: bytes) -> dict[str, Any] | None:
    try:
        return vars(AdvertOpener(key).open(data))
    except AuthenticationError:
        return None


def bent_values(dice: random.Random, values: list[bytes]) -> Iterator[bytes]:
    """Yield the values twice over, some of them lost, joined, doubled or damaged."""
    held = b""
    for value in values * 2:
        choice = dice.random()
        held += fuzz_input.mutated(dice, value) if choice < 0.2 else value
        if choice < 0.3:
            continue
        if choice > 0.35:
            yield held
        if choice > 0.9:
            yield held
        held = b""


def test_product_and_paper_decoder_agree_on_damaged_values() -> None:
    dice = random.Random(4)
    vectors = load("pieces")
    complete = wrong = 0
    for _ in range(20):
        for case in vectors["cut"] + vectors["read"]:
            ours, theirs = PieceReader(), paper.Link()
            for value in bent_values(dice, [octets(value) for value in case["values"]]):
                frames = ours.feed(value)
                assert theirs.take(value) == frames, value.hex()
                complete += len(frames)
            counted = (ours.damaged, ours.oversized)
            assert counted == (theirs.damaged, theirs.oversized), case
            wrong += sum(counted)
    assert complete > 1000
    assert wrong > 1000


def test_product_and_paper_decoder_agree_on_whatever_a_node_tells() -> None:
    dice = random.Random(6)
    for _ in range(300):
        key = dice.randbytes(16)
        sent = sealer.advert(key, dice.randbytes(8), dice.getrandbits(32), dice.randbytes(5))
        ours, theirs = read_by_us(key, sent), read_by_paper(key, sent)
        assert ours is not None
        assert theirs is not None
        assert ours == {name: theirs[name] for name in ours}
        spoilt = fuzz_input.mutated(dice, sent)
        assert (read_by_us(key, spoilt) is None) == (read_by_paper(key, spoilt) is None)
