import ast
import json
import random
import runpy
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lilong_protocol import blocks, serial
from lilong_protocol.errors import DecodeError

PROTOCOL = Path(__file__).parent.parent
link = types.SimpleNamespace(**runpy.run_path(str(PROTOCOL / "tests" / "paper_link.py")))
paper = types.SimpleNamespace(**runpy.run_path(str(PROTOCOL / "tests" / "paper_decoder.py")))
golden = types.SimpleNamespace(**runpy.run_path(str(PROTOCOL / "tests" / "golden_messages.py")))
octets = bytes.fromhex
SESSIONS = ["session_first", "session_resumed"]


def load(name: str) -> dict[str, Any]:
    text = (PROTOCOL / "vectors" / f"{name}.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def plain(field: Any) -> Any:
    if isinstance(field, dict):
        return octets(field["hex"])
    return [plain(element) for element in field] if isinstance(field, list) else field


def refuses(decode: Callable[..., Any], *arguments: Any) -> bool:
    return outcome(decode, *arguments) is ValueError


def outcome(decode: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return decode(*arguments)
    except (ValueError, DecodeError):
        return ValueError


@pytest.mark.parametrize("name", ["paper_link", "paper_decoder", "paper_ble"])
def test_the_paper_decoder_shares_no_code_with_the_product(name: str) -> None:
    tree = ast.parse((PROTOCOL / "tests" / f"{name}.py").read_text(encoding="utf-8"))
    imported = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(str(node.module).split(".")[0])
    assert imported <= {"hashlib", "hmac", "io", "zlib", "typing", "cryptography"}


def test_the_paper_decoder_reads_every_column() -> None:
    vectors = load("columns")
    for case in vectors["encoded"] + vectors["accepted"]:
        assert paper.column(octets(case["hex"]), len(case["values"])) == case["values"], case
    for case in vectors["refused"]:
        assert refuses(paper.column, octets(case["hex"]), case["count"]), case


def test_the_paper_decoder_reads_every_item() -> None:
    written = load("blocks")
    for case in written["blocks"] + written["accepted"] + load("items")["encoded"]:
        read = paper.item(octets(case["hex"]))
        assert read == (case["boot"], case["times"], case["columns"]), case
    for case in written["refused"]:
        assert refuses(paper.item, octets(case["hex"])), case


def test_the_paper_decoder_reads_every_descriptor() -> None:
    for case in load("blocks")["descriptors"]:
        assert paper.descriptor(octets(case["hex"])) == [case["version"], case["channels"]]


def read_message(rule: str, data: bytes) -> list[Any]:
    name = rule.rpartition("-")[0]
    if name == "descriptor":
        return [paper.descriptor(data)]
    fields: list[Any] = paper.message(name, data)
    return fields


def test_the_paper_decoder_reads_every_message() -> None:
    vectors = load("messages")
    for case in vectors["messages"]:
        assert read_message(case["rule"], octets(case["hex"])) == plain(case["fields"]), case
    for case in vectors["accepted"]:
        assert read_message(case["rule"], octets(case["hex"])) == plain(case["reads"]), case
    for case in vectors["refused"]:
        assert refuses(read_message, case["rule"], octets(case["hex"])), case


def test_the_paper_decoder_follows_a_node_to_its_next_key() -> None:
    session = load("session_rekey")
    known = [octets(session["key"]), octets(session["next_key"])]
    hello, key, keys, met = b"", b"", None, []
    for step in session["steps"]:
        data = octets(step["frame"])
        if step["name"] == "HELLO":
            (key,) = [one for one in known if not refuses(link.open_hello, one, data)]
            hello = data
            continue
        if step["name"] == "WELCOME":
            keys = link.Keys(key, hello, data)
            met.append((key, keys.salt.hex()))
        plaintext = keys.open(step["from"], data)
        assert plaintext.hex() == step["plaintext"]
        if step["name"] == "REQUEST":
            assert paper.message("request", plaintext) == [0, 1, known[1]]
    assert met == list(zip(known, (one["salt"] for one in session["sessions"]), strict=True))


def keys_of(session: dict[str, Any]) -> Any:
    hello, welcome = (octets(step["frame"]) for step in session["steps"][:2])
    return link.Keys(octets(session["key"]), hello, welcome)


@pytest.mark.parametrize("name", SESSIONS)
def test_the_paper_decoder_derives_the_keys_of_a_session(name: str) -> None:
    session = load(name)
    keys = keys_of(session)
    assert keys.salt.hex() == session["salt"]
    assert keys.context.hex() == session["id_context"]
    assert keys.key["node"].hex() == session["node_key"]
    assert keys.key["gateway"].hex() == session["gateway_key"]
    assert keys.iv.hex() == session["common_iv"]


@pytest.mark.parametrize("name", SESSIONS)
def test_the_paper_decoder_reads_a_session_down_to_the_readings(name: str) -> None:
    session = load(name)
    keys, items = keys_of(session), []
    for step in session["steps"]:
        data = octets(step["frame"])
        assert link.read_head(data).name == step["name"]
        if step["name"] == "HELLO":
            plaintext = link.open_hello(octets(session["key"]), data)
        else:
            plaintext = keys.open(step["from"], data)
        assert plaintext.hex() == step["plaintext"]
        rule = step["name"].lower()
        if rule == "time":
            rule += "-question" if step["from"] == "node" else "-answer"
        fields = paper.message(rule, plaintext)
        if rule == "data":
            assert fields[0] < 24  # one byte
            items.append(paper.item(plaintext[1:]))
    assert items
    assert all(len(item.times) == len(item.columns[0][1]) for item in items)


def test_the_paper_decoder_opens_every_frame_and_none_that_is_spoilt() -> None:
    frames = load("frames")
    session = load("session_first")
    for case in frames["frames"]:
        keys = keys_of(session)
        assert keys.nonce(case["from"], case["counter"]).hex() == case["nonce"], case
        assert keys.open(case["from"], octets(case["hex"])).hex() == case["plaintext"], case
    for case in frames["refused"]:
        assert refuses(keys_of(session).open, case["from"], octets(case["hex"])), case


def test_the_paper_decoder_finds_every_frame_on_a_line() -> None:
    vectors = load("serial")
    for case in vectors["wrapped"]:
        line = octets(case["hex"])
        assert link.uncobs(line.strip(b"\0"))[:-4].hex() == case["frame"], case
        assert [data.hex() for data in link.read_line(line).frames] == [case["frame"]], case
    for case in vectors["streams"]:
        read = link.read_line(octets(case["hex"]))
        assert [data.hex() for data in read.frames] == case["frames"], case
        counted = (read.text.decode(), read.damaged, read.oversized)
        assert counted == (case["text"], case["damaged"], case["oversized"]), case


def block_of(data: bytes) -> tuple[int | None, list[int], list[list[Any]]]:
    block = blocks.decode_block(data)
    return block.boot, block.times, [[channel, values] for channel, values in block.columns]


def damaged(dice: random.Random, data: bytes) -> bytes:
    """Return the bytes with one to three of them changed, left out or put in."""
    out = bytearray(data)
    for _ in range(dice.randint(1, 3)):
        at = dice.randrange(len(out) + 1)
        out[at : at + dice.randint(0, 1)] = dice.randbytes(dice.randint(0, 1))
    return bytes(out)


def test_product_and_paper_decoder_agree_on_damaged_items() -> None:
    dice = random.Random(8610)
    written = load("blocks")
    sound = [octets(case["hex"]) for case in written["blocks"] + written["accepted"]]
    read = 0
    for _ in range(300):
        for good in sound:
            data = damaged(dice, good)
            ours = outcome(block_of, data)
            assert outcome(paper.item, data) == ours, data.hex()
            read += ours is not ValueError
    assert read > 100


def test_product_and_paper_decoder_agree_on_damaged_messages() -> None:
    dice = random.Random(8742)
    read = 0
    for case in load("messages")["messages"]:
        if case["rule"].startswith(("time", "data")):
            continue
        for _ in range(150):
            data = damaged(dice, octets(case["hex"]))
            ours = outcome(golden.READERS[case["rule"]], data)
            assert outcome(read_message, case["rule"], data) == ours, (case["rule"], data.hex())
            read += ours is not ValueError
    assert read > 100


def test_product_and_paper_decoder_agree_on_damaged_lines() -> None:
    dice = random.Random(1662)
    parts = [octets(case["hex"]) for case in load("serial")["wrapped"]]
    parts += [b"log line\n", b"x\0", b"a\nb", b"\xfflog\n", b"boot\r\n" * 200]
    for _ in range(500):
        chosen = dice.choices(parts, k=dice.randint(1, 4))
        line = b"".join(damaged(dice, part) if dice.random() < 0.5 else part for part in chosen)
        reader = serial.FrameReader()
        frames = reader.feed(line + b"\0")
        counted = (len(reader.take_text()), reader.damaged, reader.oversized)
        read = link.read_line(line)
        assert read.frames == frames, line.hex()
        assert (len(read.text), read.damaged, read.oversized) == counted, line.hex()
