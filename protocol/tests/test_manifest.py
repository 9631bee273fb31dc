import hashlib
import importlib.util
import json
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from lilong_protocol import cbor, cose
from lilong_protocol.errors import AuthenticationError, DecodeError, RangeError
from lilong_protocol.manifest import (
    MANIFEST_LIMIT,
    PAYLOAD_LIMIT,
    Manifest,
    Segment,
    decode_manifest,
    encode_manifest,
    open_manifest,
    split_public_keys,
)

PROTOCOL = Path(__file__).parent.parent
ACTIVE, RECOVERY, STRANGER = (
    Ed25519PrivateKey.from_private_bytes(bytes([number] * 32)) for number in (1, 2, 3)
)
DIGEST = hashlib.sha256(b"").digest()
ROWS = [["lilong_firmware/app.mpy", 3825, DIGEST], ["lilong_protocol/cbor.mpy", 2219, DIGEST]]
FIELDS = [1, "lilong", 7, 3, "1.4.0", 0, ROWS]


def public(signer):
    return signer.public_key().public_bytes_raw()


KEYS = [public(ACTIVE), public(RECOVERY)]


def signed(payload, signer=ACTIVE, *, named=True):
    key_id = cose.key_id(public(signer)) if named else None
    return cose.pack_sign1(payload, signer.sign(cose.to_be_signed(payload)), key_id)


def changed(at, value):
    return [*FIELDS[:at], value, *FIELDS[at + 1 :]]


def named(*names):
    return changed(6, [[name, 1, DIGEST] for name in names])


def many(count, length):
    names = [f"{number:03}".ljust(length, "x") for number in range(count)]
    return named(*names)


def manifest_of(fields):
    _, device_class, sequence, oldest, version, kind, rows = fields
    segments = [Segment(*row) for row in rows]
    return Manifest(device_class, sequence, oldest, version, kind, segments)


ALLOWED = {
    "as it is": FIELDS,
    "the first sequence": changed(2, 1)[:3] + [0, *FIELDS[4:]],
    "the last sequence": changed(2, 2**32 - 1),
    "one that the sequence before takes": changed(3, 6),
    "one that all take": changed(3, 0),
    "a long class": changed(1, "里" * 32),
    "a long version": changed(4, "x" * 32),
    "a base image": [*FIELDS[:5], 1, [["base.bin", 1 << 24, DIGEST]]],
    "a long name": named("a" * 64),
    "a small segment": named("a"),
    "all characters of a name": named("abcdefghijklmnopqrstuvwxyz/0123456789/_.-"),
    "255 segments": many(255, 20),
    "the order of paths": named("a/b", "a-b", "a.b", "ab"),
    "dots within a name": named("a..b/c.d."),
}
REFUSED = {
    "another format": changed(0, 2),
    "a format that is a bool": changed(0, True),
    "a format in words": changed(0, "1"),
    "no class": changed(1, ""),
    "a class that is too long": changed(1, "x" * 33),
    "a class of bytes": changed(1, b"lilong"),
    "a class with a line end": changed(1, "a\nb"),
    "sequence 0": [*FIELDS[:2], 0, 0, *FIELDS[4:]],
    "a sequence of 33 bits": changed(2, 2**32),
    "a sequence that is a bool": changed(2, True),
    "one that no node may take": changed(3, 7),
    "an oldest below 0": changed(3, -1),
    "no version": changed(4, ""),
    "a version that is too long": changed(4, "x" * 33),
    "a kind of later days": changed(5, 2),
    "a kind that is a bool": changed(5, False),
    "a base image in two": changed(5, 1),
    "no segments": changed(6, []),
    "segments that are none": changed(6, 1),
    "256 segments": many(256, 3),
    "a segment of two fields": changed(6, [["a", 1]]),
    "a segment of four fields": changed(6, [["a", 1, DIGEST, 0]]),
    "a segment that is no list": changed(6, ["a"]),
    "a name of bytes": named(b"a"),
    "a name that is too long": named("a" * 65),
    "an empty name": named(""),
    "an absolute name": named("/a"),
    "a name that leads up": named("a/../../b"),
    "a name that leads up at once": named(".."),
    "a name that stays": named("./a"),
    "a folder": named("a/"),
    "a double slash": named("a//b"),
    "a hidden file": named("a/.b"),
    "capitals": named("A"),
    "a backslash": named("a\\b"),
    "a null character": named("a\0"),
    "another alphabet": named("а"),  # noqa: RUF001 - it looks like an a, and is Cyrillic
    "a name twice": named("a", "a"),
    "another order": named("b", "a"),
    "another order of folders": named("a.b", "a/b"),
    "a file that is a folder too": named("a/b", "a/b/c", "a/b.c"),
    "a segment of no bytes": changed(6, [["a", 0, DIGEST]]),
    "a segment that is too large": changed(6, [["a", (1 << 24) + 1, DIGEST]]),
    "a hash that is too short": changed(6, [["a", 1, DIGEST[1:]]]),
    "a hash in words": changed(6, [["a", 1, DIGEST.hex()]]),
    "a field more": [*FIELDS, 0],
    "a field less": FIELDS[:6],
    "nothing": [],
    "no list": 1,
}
BEYOND_CDDL = {
    *("one that no node may take", "a class with a line end", "a class that is too long"),
    *("a version that is too long", "a name twice", "a file that is a folder too", "capitals"),
    *("an absolute name", "a name that leads up", "a name that leads up at once", "a folder"),
    *("a name that stays", "a double slash", "a hidden file", "a backslash", "another alphabet"),
    *("a null character", "another order", "another order of folders"),
}
"""What CDDL does not say: what a name is, characters for bytes, how two fields relate."""


@pytest.mark.parametrize("fields", ALLOWED.values(), ids=ALLOWED)
def test_what_is_encoded_is_decoded_again(fields):
    payload = encode_manifest(manifest_of(fields))
    assert cbor.decode(payload) == fields
    found = decode_manifest(payload)
    rows = [[segment.name, segment.size, segment.sha256] for segment in found.segments]
    head = [found.device_class, found.sequence, found.oldest, found.version, found.kind]
    assert [1, *head, rows] == fields
    assert found.size == sum(row[1] for row in rows)


@pytest.mark.parametrize("fields", REFUSED.values(), ids=REFUSED)
def test_what_is_against_the_limits_is_not_decoded(fields):
    with pytest.raises(DecodeError):
        decode_manifest(cbor.encode(fields))


@pytest.mark.parametrize(
    "fields",
    [
        fields
        for name, fields in REFUSED.items()
        if isinstance(fields, list) and len(fields) == 7 and "format" not in name
        if isinstance(fields[6], list) and all(len(row) == 3 for row in fields[6])
    ],
)
def test_what_is_against_the_limits_is_not_encoded(fields):
    with pytest.raises(RangeError):
        encode_manifest(manifest_of(fields))


def test_a_manifest_is_as_long_as_the_limit_and_no_longer():
    fields = many(182, 48)
    longer = PAYLOAD_LIMIT - len(cbor.encode(fields))
    for row in fields[6]:
        row[0] += "y" * min(16, longer)
        longer -= min(16, longer)
    payload = encode_manifest(manifest_of(fields))
    assert len(signed(payload)) == MANIFEST_LIMIT
    assert open_manifest(signed(payload), KEYS).sequence == 7
    fields[1] += "z"
    assert len(signed(cbor.encode(fields))) == MANIFEST_LIMIT + 1
    with pytest.raises(RangeError):
        encode_manifest(manifest_of(fields))
    with pytest.raises(DecodeError, match=f"more than {MANIFEST_LIMIT}"):
        open_manifest(signed(cbor.encode(fields)), KEYS)


PAYLOAD = cbor.encode(FIELDS)


@pytest.mark.parametrize("with_name", [True, False], ids=["named", "unnamed"])
@pytest.mark.parametrize("signer", [ACTIVE, RECOVERY], ids=["active", "recovery"])
def test_the_active_and_the_recovery_key_open_a_manifest(signer, with_name):
    message = signed(PAYLOAD, signer, named=with_name)
    assert encode_manifest(open_manifest(message, KEYS)) == PAYLOAD
    assert encode_manifest(open_manifest(message[1:], KEYS)) == PAYLOAD


@pytest.mark.parametrize("with_name", [True, False], ids=["named", "unnamed"])
def test_a_stranger_opens_nothing(with_name):
    for keys in (KEYS, KEYS[:1], []):
        with pytest.raises(AuthenticationError, match=r"^manifest: "):
            open_manifest(signed(PAYLOAD, STRANGER, named=with_name), keys)


def test_a_message_that_names_an_unknown_key_costs_no_time():
    steps = []
    with pytest.raises(AuthenticationError):
        open_manifest(signed(PAYLOAD, STRANGER), KEYS, lambda: steps.append(None))
    assert steps == []


def test_a_message_that_names_the_wrong_one_of_two_keys_is_refused():
    signature = ACTIVE.sign(cose.to_be_signed(PAYLOAD))
    message = cose.pack_sign1(PAYLOAD, signature, cose.key_id(public(RECOVERY)))
    with pytest.raises(AuthenticationError):
        open_manifest(message, KEYS)


def test_a_key_that_is_none_does_not_stand_in_the_way_of_the_other():
    message = signed(PAYLOAD, RECOVERY, named=False)
    assert open_manifest(message, [bytes(32), public(RECOVERY)]).sequence == 7


def test_what_a_signed_manifest_says_is_checked_all_the_same():
    for fields in REFUSED.values():
        with pytest.raises(DecodeError):
            open_manifest(signed(cbor.encode(fields)), KEYS)


def test_a_change_of_any_byte_is_refused():
    for with_name in (True, False):
        message = signed(PAYLOAD, named=with_name)
        for at in range(len(message)):
            for flip in (0x01, 0x20, 0x80, 0xFF):
                damaged = bytearray(message)
                damaged[at] ^= flip
                with pytest.raises((AuthenticationError, DecodeError)):
                    open_manifest(bytes(damaged), KEYS)


def test_the_keys_of_a_node_are_one_or_two():
    assert split_public_keys(b"".join(KEYS)) == KEYS
    assert split_public_keys(KEYS[0]) == KEYS[:1]
    for size in (0, 31, 33, 63, 65, 96):
        with pytest.raises(DecodeError):
            split_public_keys(bytes(size))


@pytest.fixture(scope="module")
def schema():
    if importlib.util.find_spec("zcbor") is None:
        pytest.skip("zcbor, of the dev extra, is not installed")
    return runpy.run_path(str(PROTOCOL / "tests" / "test_cddl.py"))["Schema"]()


def test_every_manifest_that_we_write_follows_its_rule(schema):
    for name, fields in ALLOWED.items():
        assert schema.allows("manifest-array", cbor.encode(fields)), name
        for with_name in (True, False):
            # zcbor 0.9.1 does not know what cbor2 6 makes of a map below a tag.
            untagged = signed(cbor.encode(fields), named=with_name)[1:]
            assert schema.allows("signed-manifest-array", untagged), name


def test_the_schema_refuses_what_the_decoder_refuses_but_for_what_it_cannot_say(schema):
    allowed = {
        name
        for name, fields in REFUSED.items()
        if schema.allows("manifest-array", cbor.encode(fields))
    }
    assert allowed == BEYOND_CDDL


def test_the_schema_refuses_other_signatures(schema):
    message = signed(PAYLOAD)[1:]
    for old, new in (
        ("43a10127", "43a10126"),
        ("43a10127", "43a10227"),
        ("a10448", "a10548"),
        ("5840", "583f"),
    ):
        damaged = message.replace(bytes.fromhex(old), bytes.fromhex(new), 1)
        damaged = damaged[:-1] if new == "583f" else damaged
        assert damaged != message
        assert not schema.allows("signed-manifest-array", damaged), new


def cases():
    """Message, keys and the line that check_manifest.py shall print, or how it begins."""
    both, active = b"".join(KEYS), KEYS[0]
    for fields in ALLOWED.values():
        payload = cbor.encode(fields)
        yield signed(payload), both, payload.hex()
    for fields in REFUSED.values():
        yield signed(cbor.encode(fields)), active, "refused: "
    yield signed(PAYLOAD, RECOVERY, named=False), both, PAYLOAD.hex()
    yield signed(PAYLOAD)[1:], active, PAYLOAD.hex()
    yield signed(PAYLOAD, STRANGER), both, "not signed: "
    yield signed(PAYLOAD, STRANGER, named=False), both, "not signed: "
    yield signed(PAYLOAD), active[1:], "refused: "
    message = signed(PAYLOAD)
    for at in range(len(message)):
        damaged = message[:at] + bytes([message[at] ^ 0x40]) + message[at + 1 :]
        # Only within the payload and the signature is it worth the time of verifying.
        if at < 17 or at % 16 == 0:
            yield damaged, active, ""
    for end in range(0, len(message), 7):
        yield message[:end], active, "refused: "


def lines_of(command, path):
    done = subprocess.run(
        [*command, str(PROTOCOL / "tests" / "check_manifest.py"), str(path)],
        env={"PYTHONPATH": str(PROTOCOL), "MICROPYPATH": f".frozen:{PROTOCOL}"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


@pytest.fixture(params=["micropython", "micropython32"])
def launcher(request):
    return str(request.getfixturevalue(request.param))


def test_manifests_and_verdicts_are_the_same_on_every_interpreter(launcher, tmp_path):
    given_cases = list(cases())
    path = tmp_path / "cases.json"
    path.write_text(json.dumps([[part.hex() for part in case[:2]] for case in given_cases]))
    here = lines_of([sys.executable], path)
    assert len(here) == len(given_cases)
    for line, (_, _, expected) in zip(here, given_cases, strict=True):
        assert line.startswith(expected or ("refused: ", "not signed: "))
    assert lines_of([launcher, "-X", "heapsize=1m"], path) == here
