import importlib
import pathlib
import random
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
fuzz = importlib.import_module("fuzz")
KINDS = list(fuzz.Campaign(1).kinds)


def test_a_short_campaign_finds_nothing(capsys) -> None:
    assert fuzz.main(["--seconds", "1.5"]) == 0
    said = capsys.readouterr().out
    assert "accepted forgeries and broken rules: 0" in said
    assert "uncaught exceptions: 0" in said
    for kind in KINDS:
        assert f"{kind} " in said


@pytest.mark.parametrize("kind", KINDS)
def test_a_round_is_the_same_for_the_same_seed(kind: str) -> None:
    def fed(seed: int) -> list[bytes]:
        cases = []

        def note(data: bytes) -> bytes:
            cases.append(data)
            return data

        fuzz.Campaign(seed).kinds[kind](random.Random(f"{seed}"), note)
        return cases

    assert fed(5) == fed(5) != fed(6)


def broken(data: bytes) -> None:
    if len(data) > 100:
        raise IndexError("planted")


def test_an_exception_is_found_and_its_bytes_are_named(capsys) -> None:
    campaign = fuzz.Campaign(3)
    campaign.decoders["planted"] = broken
    assert not all(campaign.run("decoders, bytes", number) for number in range(20))
    said = capsys.readouterr().out
    assert campaign.uncaught == 1
    assert "planted" in said
    assert f"last bytes: {campaign.last.hex()}" in said
    assert "--seed 3 --kind 'decoders, bytes' --round" in said


class Believer:
    """An Aead that believes every tag."""

    def __init__(self, aead) -> None:
        self._aead = aead

    def open(self, nonce: bytes, data: bytes, aad: bytes) -> bytes:
        plain = self._aead.seal(nonce, data[:-8], aad)[:-8]
        return plain if len(data) >= 8 else b""


def test_a_gateway_that_believes_every_tag_is_found(capsys) -> None:
    strangers = importlib.import_module("fuzz_strangers")

    class Credulous(strangers.Pair):
        def step(self, loss: float = 0.0) -> None:
            super().step(loss)
            session = self.gateway.session._session
            if session is not None and not isinstance(session.cipher._opener, Believer):
                session.cipher._opener = Believer(session.cipher._opener)

    def credulous(dice: random.Random, note) -> None:
        pair = Credulous(dice, 1, [])
        for _ in range(50):
            pair.outbox.append(2, dice.randbytes(20))
            pair.step(loss=0.5)
            data = note(strangers.mutated(dice, dice.choice(pair.seen[-5:])))
            pair.to_gateway(data)
        pair.finish()

    campaign = fuzz.Campaign(1)
    campaign.kinds["stranger"] = credulous
    assert not all(campaign.run("stranger", number) for number in range(10))
    assert campaign.accepted == 1
    assert "forged" in capsys.readouterr().out


def test_a_key_that_no_request_gave_to_a_node_is_found() -> None:
    fuzz_bench = importlib.import_module("fuzz_bench")
    slots = fuzz_bench.Slots(random.Random(1))
    with pytest.raises(fuzz_bench.FindingError):
        slots.keys.stage(bytes(16))
    slots.told = {bytes(16)}
    assert slots.keys.stage(bytes(16))
    assert slots.keys.proven(bytes(16))
    slots.check()
    slots.keys.next = bytes(16)
    with pytest.raises(fuzz_bench.FindingError):
        slots.check()


def test_what_holds_too_much_is_found(capsys) -> None:
    campaign = fuzz.Campaign(1)
    hoard = []
    campaign.kinds["serial line"] = lambda dice, _: hoard.append(dice.randbytes(9 << 20))
    assert not campaign.run("serial line", 0)
    assert campaign.accepted == 1
    assert "bytes were held at once" in capsys.readouterr().out
