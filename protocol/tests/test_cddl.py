import importlib
import importlib.util
import io
import json
import runpy
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lilong_protocol import cbor
from lilong_protocol.blocks import decode_block
from lilong_protocol.errors import DecodeError

PROTOCOL = Path(__file__).parent.parent
VECTORS = PROTOCOL / "vectors"
ITEMS = {0: "single-sequence", 1: "series-sequence", 2: "table-sequence"}
WRONG: list[Any] = [None, True, -1, (1 << 64) - 1, "x", b"x", [], [0], [1, b"x"]]
golden = types.SimpleNamespace(
    **runpy.run_path(str(PROTOCOL / "tests" / "golden_messages.py")),
)


def load(name: str) -> dict[str, Any]:
    text = (VECTORS / f"{name}.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


MESSAGES = load("messages")
BLOCKS = load("blocks")
GOLDEN_ITEMS = BLOCKS["blocks"] + BLOCKS["accepted"] + load("items")["encoded"]


class Schema:
    """The rules of lilong.cddl, applied by zcbor (Nordic Semiconductor)."""

    def __init__(self) -> None:
        cbor2 = importlib.import_module("cbor2")
        if not hasattr(cbor2, "CBORDecodeValueError"):
            # zcbor 0.9.1 imports a name that cbor2 6 has merged into its parent.
            cbor2.CBORDecodeValueError = cbor2.CBORDecodeError
        zcbor = importlib.import_module("zcbor.zcbor.zcbor")
        text = (PROTOCOL / "lilong.cddl").read_text(encoding="utf-8")
        self.rules = zcbor.DataTranslator.from_cddl(text, default_max_qty=4096).my_types
        self._refusals = (zcbor.CddlValidationError, cbor2.CBORDecodeError)

    def allows(self, rule: str, data: bytes) -> bool:
        """Whether the bytes follow the rule; a sequence is validated as an array."""
        count = items_of(data)
        if rule.endswith("-sequence"):
            data = array_head(count) + data
        elif count != 1:
            return False
        try:
            self.rules[rule].validate_str(data)
        except self._refusals:
            return False
        return True


def array_head(count: int) -> bytes:
    return bytes([0x80 | count]) if count < 24 else bytes([0x99, count >> 8, count & 255])


def items_of(data: bytes) -> int:
    """Count the items of a sequence, of any CBOR; 0 when the last one does not end."""
    cbor2 = importlib.import_module("cbor2")
    stream = io.BytesIO(data)
    count = 0
    try:
        while stream.tell() < len(data):
            cbor2.load(stream)
            count += 1
    except cbor2.CBORDecodeError:
        return 0
    return count


def is_readable(data: bytes) -> bool:
    try:
        cbor.decode_sequence(data)
    except DecodeError:
        return False
    return True


def is_block(data: bytes) -> bool:
    try:
        decode_block(data)
    except DecodeError:
        return False
    return True


def mutants(fields: list[Any]) -> Iterator[list[Any]]:
    """Yield the fields with one of them left out, doubled or of another kind, at every depth."""
    for at, field in enumerate(fields):
        yield fields[:at] + fields[at + 1 :]
        yield [*fields[:at], field, *fields[at:]]
        for wrong in WRONG:
            yield [*fields[:at], wrong, *fields[at + 1 :]]
        if isinstance(field, list) and len(field) < 16:
            for inner in mutants(field):
                yield [*fields[:at], inner, *fields[at + 1 :]]


@pytest.fixture(scope="module")
def schema() -> Schema:
    if importlib.util.find_spec("zcbor") is None:
        pytest.skip("zcbor, of the dev extra, is not installed")
    return Schema()


def test_every_golden_message_follows_its_rule(schema: Schema) -> None:
    refused = [
        case["name"]
        for case in MESSAGES["messages"]
        if not schema.allows(case["rule"], bytes.fromhex(case["hex"]))
    ]
    assert refused == []


def test_fields_of_later_versions_are_allowed_where_our_decoder_ignores_them(schema) -> None:
    for case in MESSAGES["accepted"]:
        data = bytes.fromhex(case["hex"])
        assert schema.allows(case["rule"], data), case
        assert golden.understood(case["rule"], data) == golden.plain(case["reads"]), case


def test_validator_and_decoder_refuse_the_same_messages(schema: Schema) -> None:
    for case in MESSAGES["refused"]:
        data = bytes.fromhex(case["hex"])
        assert golden.understood(case["rule"], data) is None, case
        if is_readable(data) or case["cddl"]:
            assert schema.allows(case["rule"], data) is not case["cddl"], case


def test_every_golden_item_follows_the_rule_of_its_kind(schema: Schema) -> None:
    for case in GOLDEN_ITEMS:
        data = bytes.fromhex(case["hex"])
        assert schema.allows(ITEMS[cbor.decode_sequence(data)[0]], data), case
        assert schema.allows("data-sequence", cbor.encode(7) + data), case


def test_every_golden_descriptor_follows_its_rule(schema: Schema) -> None:
    for case in BLOCKS["descriptors"]:
        assert schema.allows("descriptor-array", bytes.fromhex(case["hex"])), case


@pytest.mark.parametrize("name", ["session_first", "session_resumed", "session_rekey"])
def test_everything_said_in_a_golden_session_follows_its_rule(schema: Schema, name) -> None:
    session = load(name)
    assert schema.allows("descriptor-array", bytes.fromhex(session["descriptor"]))
    for step in session["steps"]:
        rule = f"{step['name'].lower()}-sequence"
        if step["name"] == "TIME":
            rule = f"time-{'question' if step['from'] == 'node' else 'answer'}-sequence"
        assert schema.allows(rule, bytes.fromhex(step["plaintext"])), step


@pytest.mark.parametrize(
    "rule",
    [
        "hello",
        "welcome",
        "describe",
        "ack",
        "time-question",
        "time-answer",
        "request",
        "response",
    ],
)
def test_validator_and_decoder_agree_on_every_mutation_of_a_message(schema, rule) -> None:
    rule = f"{rule}-sequence"
    seen = {True: 0, False: 0}
    for case in MESSAGES["messages"]:
        if case["rule"] != rule:
            continue
        for fields in mutants(golden.plain(case["fields"])):
            data = cbor.encode_sequence(fields)
            allowed = schema.allows(rule, data)
            understood = golden.understood(rule, data) is not None
            # A first above its next is beyond what CDDL can say. An answer to another question,
            # or of a time before 2000 at uptime 0, is no error of its bytes.
            if understood != allowed and not is_known_difference(rule, fields):
                pytest.fail(f"{rule} {fields}: validator {allowed}, decoder {understood}")
            seen[allowed] += 1
    assert seen[False] > 10


def is_known_difference(rule: str, fields: list[Any]) -> bool:
    if rule == "hello-sequence":
        return any(low > high for low, high in zip(fields[3], fields[4], strict=True))
    early = type(fields[1]) is int and fields[1] < 1000
    return rule == "time-answer-sequence" and (fields[0] != 250 or early)


def test_what_the_schema_refuses_of_an_item_our_decoder_refuses_too(schema: Schema) -> None:
    refused = 0
    for case in BLOCKS["blocks"] + BLOCKS["accepted"]:
        whole = cbor.decode_sequence(bytes.fromhex(case["hex"]))
        for fields in mutants(whole):
            kind = fields[0] if fields else None
            if type(kind) is not int or kind not in ITEMS:
                assert not is_block(cbor.encode_sequence(fields)), fields
                continue
            data = cbor.encode_sequence(fields)
            if not schema.allows(ITEMS[kind], data):
                refused += 1
                assert not is_block(data), fields
    assert refused > 500


def test_what_the_schema_refuses_of_a_descriptor_our_decoder_refuses_too(schema) -> None:
    differences = refused = 0
    for case in BLOCKS["descriptors"]:
        for fields in mutants([cbor.decode(bytes.fromhex(case["hex"]))]):
            data = cbor.encode_sequence(fields)
            understood = golden.understood("descriptor-array", data) is not None
            allowed = len(fields) == 1 and schema.allows("descriptor-array", data)
            assert allowed or not understood, fields
            refused += not allowed
            differences += allowed and not understood
    assert refused > 100
    assert differences > 0


@pytest.mark.parametrize("case", BLOCKS["refused"], ids=lambda case: case["why"])
def test_no_damaged_item_is_read(case: dict[str, str]) -> None:
    assert not is_block(bytes.fromhex(case["hex"]))


def test_the_schema_names_every_rule_that_the_vectors_use(schema: Schema) -> None:
    used = {case["rule"] for part in MESSAGES.values() for case in part}
    assert used | set(ITEMS.values()) <= set(schema.rules)
