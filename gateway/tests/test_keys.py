from pathlib import Path

import pytest

from lilong_gateway.errors import ConfigError
from lilong_gateway.key_file import load_keys
from lilong_gateway.keys import KeyRing, key_id
from lilong_gateway.proofs import Proofs

EUI = "0a1b2c3d4e5f6071"
KEY = "00112233445566778899aabbccddeeff"
NEXT = "ffeeddccbbaa99887766554433221100"
NODE, OLD, NEW = bytes.fromhex(EUI), bytes.fromhex(KEY), bytes.fromhex(NEXT)


def write(folder: Path, text: str, mode: int = 0o600) -> Path:
    file = folder / "nodes.toml"
    file.write_text(text, encoding="utf-8")
    file.chmod(mode)
    return file


def test_keys_are_found_by_eui_and_never_shown(tmp_path: Path) -> None:
    keys = load_keys(write(tmp_path, f'[keys]\n"{EUI}" = "{KEY}"\n'))
    assert keys(NODE) == (OLD,)
    assert keys(bytes(8)) == ()
    assert repr(keys) == "KeyRing(1 nodes)"


def test_two_keys_stand_the_oldest_first(tmp_path: Path) -> None:
    keys = load_keys(write(tmp_path, f'[keys]\n"{EUI}" = [\n  "{KEY}", # old\n  "{NEXT}",\n]\n'))
    assert keys(NODE) == (OLD, NEW)
    assert keys.rotating == 1


def test_a_revoked_node_has_no_key_even_if_one_stands_for_it(tmp_path: Path) -> None:
    text = f'[keys]\n"{EUI}" = "{KEY}"\n[revoked]\n"{EUI.upper()}" = "stolen"\n'
    keys = load_keys(write(tmp_path, text))
    assert keys(NODE) == ()
    assert keys.revoked == {NODE: "stolen"}
    assert keys.held(NODE) == (OLD,)


def test_a_file_that_others_can_read_is_refused_with_the_remedy(tmp_path: Path) -> None:
    file = write(tmp_path, "[keys]\n", 0o640)
    with pytest.raises(ConfigError, match=r"mode 0640 .*chmod 600"):
        load_keys(file)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('"0a1b" = "00"', r'nodes.toml:2: keys."0a1b...": not an EUI-64'),
        (f'"{EUI}" = "{KEY[:-1]}"', rf"nodes.toml:2: keys.{EUI}: not a key.*found 31 characters"),
        (f'"{KEY}" = "{EUI}"', r'keys."0011\.\.\.": not an EUI-64'),
        (f'"{EUI}" = 7', rf"nodes.toml:2: keys.{EUI}: not a key"),
        (f'"{EUI}" = "{KEY}"\n"{EUI.upper()}" = "{KEY}"', "nodes.toml:3: .*stands here twice"),
        (f'"{EUI}" = []', rf"nodes.toml:2: keys.{EUI}: holds 0 keys; write one"),
        (f'"{EUI}" = ["{KEY}", "{NEXT}", "{"0" * 32}"]', "nodes.toml:2: .*holds 3 keys"),
        (f'"{EUI}" = ["{KEY}", "{KEY.upper()}"]', "nodes.toml:2: .*the same key twice"),
        (f'"{EUI}" = ["{KEY}", "{NEXT[1:]}"]', "nodes.toml:2: .*not a key.*found 31 char"),
        (f'"{EUI}" = ["{KEY}", 7]', "nodes.toml:2: .*not a key"),
        (f'[revoked]\n"{EUI}" = "{KEY}"', rf"nodes.toml:3: revoked.{EUI}: a key in the place"),
        (f'[revoked]\n"{EUI}" = true', "nodes.toml:3: .*write the reason in quotes"),
        (f'[revoked]\n"{KEY}" = "x"', r'nodes.toml:3: revoked."0011...": not an EUI-64'),
    ],
)
def test_a_wrong_key_is_named_by_line_but_not_shown(
    tmp_path: Path, line: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        load_keys(write(tmp_path, f"[keys]\n{line}\n"))
    assert KEY[:-1] not in str(caught.value)
    assert NEXT[1:] not in str(caught.value)


def test_a_ring_that_takes_another_tells_what_changed() -> None:
    one, two, three, four = (bytes([number] * 8) for number in range(4))
    ring = KeyRing({one: [OLD], two: [OLD], three: [OLD]})
    change = ring.take(
        KeyRing({one: [OLD, NEW], two: [OLD], three: [OLD], four: [NEW]}, {two: ""})
    )
    assert change == (1, 1, 1)
    assert (ring(one), ring(two), ring(four)) == ((OLD, NEW), (), (NEW,))
    assert not any(ring.take(KeyRing({one: [OLD, NEW], three: [OLD], four: [NEW]}, {two: ""})))


def test_a_key_is_old_only_beside_the_proven_one() -> None:
    ring = KeyRing({NODE: [OLD, NEW]})
    proofs = Proofs(ring)
    assert not proofs.is_old(NODE, OLD)
    proofs.recall(NODE, key_id(NEW))
    assert proofs.is_old(NODE, OLD)
    assert not proofs.is_old(NODE, NEW)
    ring.take(KeyRing({NODE: [OLD]}))
    assert not proofs.is_old(NODE, OLD)


def test_what_was_seen_in_this_run_is_later_than_what_the_store_knows() -> None:
    proofs = Proofs(KeyRing({NODE: [OLD, NEW]}))
    proofs.note(NODE, NEW)
    proofs.recall(NODE, key_id(OLD))
    assert proofs.is_old(NODE, OLD)
    assert proofs.is_current(NODE)


def test_a_key_id_does_not_hold_the_key() -> None:
    assert len(key_id(OLD)) == 8
    assert key_id(OLD) != key_id(NEW)
    assert key_id(OLD) not in OLD
