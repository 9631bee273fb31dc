import json
import re
import runpy
import types
from pathlib import Path
from typing import Any

import pytest

from lilong_protocol import (
    acknowledgement,
    advert,
    blocks,
    cbor,
    cipher,
    columns,
    descriptor,
    frame,
    gateway_session,
    node_session,
    request,
    schedule,
    sender,
    serial,
)

PROTOCOL = Path(__file__).parent.parent
SPEC = (PROTOCOL / "SPEC.md").read_text(encoding="utf-8")
paper = types.SimpleNamespace(**runpy.run_path(str(PROTOCOL / "tests" / "paper_decoder.py")))
octets = bytes.fromhex


def load(name: str) -> dict[str, Any]:
    text = (PROTOCOL / "vectors" / f"{name}.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def section(number: int) -> str:
    start = SPEC.index(f"\n## {number}. ")
    end = SPEC.find("\n## ", start + 1)
    return SPEC[start : end if end > 0 else None]


def tables(text: str, header: str) -> list[list[list[str]]]:
    """Return the cells of each table with this header line."""
    found = []
    for block in re.findall(rf"^{re.escape(header)}\n\|[-|]+\|\n((?:\|.*\n)+)", text, re.M):
        rows = [line.strip("|").split(" | ") for line in block.splitlines()]
        found.append([[cell.strip() for cell in row] for row in rows])
    return found


def listed_hex() -> list[tuple[str, str]]:
    """Return (label, hex) of each indented block in the worked example."""
    found: list[tuple[str, str]] = []
    for line in section(16).splitlines():
        match = re.fullmatch(r"    (\S.{9}) ([0-9a-f]+)", line)
        if match is not None:
            found.append((match[1].strip(), match[2]))
        elif re.fullmatch(r" {15}[0-9a-f]+", line):
            label, text = found.pop()
            found.append((label, text + line.strip()))
    return found


def test_the_worked_example_is_the_golden_session() -> None:
    session = load("session_first")
    listed = listed_hex()
    frames = [text for label, text in listed if label == "frame"]
    assert frames == [step["frame"] for step in session["steps"]]
    plaintexts = [text for label, text in listed if label == "plaintext"]
    assert plaintexts[:-1] == [step["plaintext"] for step in session["steps"][1:]]
    said = dict(listed)
    assert said["serial"] == serial.wrap(octets(frames[0]), leading=True).hex()
    names = {
        "key": "key",
        "EUI": "eui",
        "descriptor": "descriptor",
        "HELLO key": "hello_key",
        "salt": "salt",
        "id context": "id_context",
        "node key": "node_key",
        "gw key": "gateway_key",
        "common IV": "common_iv",
    }
    assert {label: said[label] for label in names} == {
        label: session[name] for label, name in names.items()
    }
    nonces = [text for label, text in listed if label == "nonce"]
    welcome_nonce = schedule.nonce(octets(session["common_iv"]), cipher.GATEWAY_ID, 0).hex()
    assert nonces[:-1] == [session["node_random"][:16] + "00" * 5, welcome_nonce]


def test_the_worked_example_of_ble_is_in_the_golden_vectors() -> None:
    listed = listed_hex()
    cut = load("pieces")["cut"][0]
    assert [text for label, text in listed if label == "value"] == cut["values"]
    steps = load("session_first")["steps"]
    assert cut["frames"] == [steps[6]["frame"], steps[8]["frame"]]
    told, said = load("adverts")["encoded"][0], dict(listed)
    names = {
        "plaintext": "plaintext",
        "advert key": "advert_key",
        "nonce": "nonce",
        "advert": "hex",
        "payload": "payload",
        "response": "scan_response",
    }
    assert {label: said[label] for label in names} == {
        label: told[name] for label, name in names.items()
    }
    assert (told["key"], told["eui"]) == (said["key"], said["EUI"])


def test_the_parts_of_the_worked_example_add_up() -> None:
    steps = load("session_first")["steps"]
    wholes = " ".join(step["frame"] + " " + step["plaintext"] for step in steps)
    told = load("adverts")["encoded"][0]
    values = "".join(load("pieces")["cut"][0]["values"])
    wholes = " ".join((wholes, values, told["plaintext"], told["hex"]))
    taken_apart = tables(section(16), "| bytes | means |")
    assert len(taken_apart) == 10
    for rows in taken_apart:
        assert "".join(row[0].strip("`") for row in rows) in wholes


def test_the_codes_of_the_worked_example_are_the_bits_of_its_column() -> None:
    ((us, codes, values),) = tables(
        section(16), "| residual | 1 | 2 | -1 | 4 | 4 | -1 | 6 | 6 | 9 |"
    )
    bits = "".join(codes[1:])
    bits += "0" * (-len(bits) % 8)
    whole = bytes.fromhex("82a841") + int(bits, 2).to_bytes(len(bits) // 8, "big")
    assert paper.column(whole, 10) == [4180, *(int(value) for value in values[1:])]
    assert whole.hex() in section(16)
    assert [paper.unzigzag(int(u)) for u in us[1:]] == [1, 2, -1, 4, 4, -1, 6, 6, 9]


def test_the_columns_shown_are_what_our_encoder_makes() -> None:
    shown = re.findall(r"^    (\[[-\d, ]+\]) +([0-9a-f]+) ", section(7), re.M)
    assert len(shown) == 4
    for values, text in shown:
        data = columns.encode_column(json.loads(values))
        assert data is not None
        assert data.hex() == text


def transitions(docstring: str | None) -> list[tuple[str, str]]:
    """Return (state, next state) of each row in a module's table."""
    state, pairs = "", []
    for line in str(docstring).splitlines():
        match = re.match(r"    ([A-Z]{4,})?\s+\S.*?(?:\s{2,}([A-Z]{4,}).*)?$", line)
        if match is not None:
            state = match[1] or state
            pairs += [(state, match[2])] if match[2] and state else []
    return pairs


@pytest.mark.parametrize("module", [node_session, gateway_session])
def test_the_states_are_those_of_the_program(module: types.ModuleType) -> None:
    spec_tables = tables(section(6), "| state | leaves it on | next state |")
    state, pairs = "", []
    for row in spec_tables[0 if module is node_session else 1]:
        state = row[0] or state
        pairs.append((state, row[2].split(",")[0]))
    assert len(pairs) > 4
    assert pairs == transitions(module.__doc__)


def test_the_limits_are_those_of_the_program() -> None:
    (rows,) = tables(section(11), "| limit | value | who beyond it |")
    said = {row[0]: row[1] for row in rows}
    program = {
        "secure frame": f"{frame.HEADER_BYTES}..{serial.FRAME_LIMIT} bytes",
        "item": f"{blocks.ITEM_LIMIT} bytes",
        "rows of an item": f"2..{columns.MAX_COUNT}",
        "readings of an item": str(blocks.MAX_READINGS),
        "descriptor": f"{descriptor.DESCRIPTOR_LIMIT} bytes",
        "arrays in arrays": str(cbor.MAX_DEPTH),
        "data items in one decoding": str(cbor.MAX_ELEMENTS),
        "frames of a session": f"{cipher.FRAME_LIMIT} on each side",
        "batches under way in a stream": str(acknowledgement.MAX_WINDOW),
        "bits of the bitmap": str(acknowledgement.BITMAP_BITS),
        "tries of a batch, of DESCRIBE": str(sender.MAX_TRIES),
        "body of a REQUEST, payload of a RESPONSE": f"{request.BODY_LIMIT} bytes",
    }
    assert {name: said[name] for name in program} == program


def test_the_types_are_those_of_the_program() -> None:
    (rows,) = tables(section(3), "| type | name | from | stream | body |")
    for number, name, *_ in rows:
        assert getattr(frame, name) == int(number)


def test_the_names_of_ble_are_those_of_the_program() -> None:
    (rows,) = tables(section(15), "| | UUID | properties |")
    assert [row[1] for row in rows] == [advert.SERVICE, advert.UP, advert.DOWN]
    assert f"company identifier {advert.COMPANY:X}" in section(15)
    assert f"Type {advert.ADVERT},\nADVERT," in section(3)


def test_every_section_that_is_referred_to_exists() -> None:
    here = re.sub(r"RFC \d+ section [\d.]+", "", SPEC.replace("\n", " "))
    referred = set(re.findall(r"section (\d+(?:\.\d+)?)", here))
    headings = set(re.findall(r"^##+ (\d+(?:\.\d+)?)", SPEC, re.M))
    assert referred
    assert referred <= headings


def test_every_file_that_is_linked_exists() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", SPEC):
        assert (PROTOCOL / target).exists(), target


def test_every_vector_file_is_described() -> None:
    for path in (PROTOCOL / "vectors").glob("*.json"):
        assert path.name in section(17)
