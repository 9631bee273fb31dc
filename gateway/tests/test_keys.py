from pathlib import Path

import pytest

from lilong_gateway.errors import ConfigError
from lilong_gateway.keys import load_keys

EUI = "0a1b2c3d4e5f6071"
KEY = "00112233445566778899aabbccddeeff"


def write(folder: Path, text: str, mode: int = 0o600) -> Path:
    file = folder / "nodes.toml"
    file.write_text(text, encoding="utf-8")
    file.chmod(mode)
    return file


def test_keys_are_found_by_eui_and_never_shown(tmp_path: Path) -> None:
    keys = load_keys(write(tmp_path, f'[keys]\n"{EUI}" = "{KEY}"\n'))
    assert keys(bytes.fromhex(EUI)) == bytes.fromhex(KEY)
    assert keys(bytes(8)) is None
    assert repr(keys) == "KeyRing(1 nodes)"


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
    ],
)
def test_a_wrong_key_is_named_by_line_but_not_shown(
    tmp_path: Path, line: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        load_keys(write(tmp_path, f"[keys]\n{line}\n"))
    assert KEY[:-1] not in str(caught.value)
