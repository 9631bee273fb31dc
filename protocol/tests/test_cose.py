import cbor2
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from lilong_protocol import cose, ed25519
from lilong_protocol.errors import AuthenticationError, DecodeError, RangeError

SIGNER = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = SIGNER.public_key().public_bytes_raw()
KEY_ID = cose.key_id(PUBLIC)
SIGNATURE = bytes(64)

# From github.com/cose-wg/Examples, folder eddsa-examples. EdDSA-01 has a second protected
# parameter and EdDSA-sig-02 another curve, so neither is a message of our form.
CONTENT = b"This is the content."
EDDSA_01_PUBLIC = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
EDDSA_01_SIGNED = bytes.fromhex(
    "846a5369676e61747572653145a2012703004054546869732069732074686520636f6e74656e742e"
)
EDDSA_01 = bytes.fromhex(
    "d28445a201270300a10442313154546869732069732074686520636f6e74656e742e58407142fd2ff96d56db85be"
    "e905a76ba1d0b7321a95c8c4d3607c5781932b7afb8711497dfa751bf40b58b3bcc32300b1487f3db34085eef013"
    "bf08f4a44d6fef0d"
)
EDDSA_02_SIGNED = bytes.fromhex(
    "846a5369676e61747572653143a101274054546869732069732074686520636f6e74656e742e"
)
EDDSA_02 = bytes.fromhex(
    "d28443a10127a10445656434343854546869732069732074686520636f6e74656e742e5872988240a3a2f189bd48"
    "6de14aa77f54686c576a09f2e7ed9bae910df9139c2ac3be7c27b7e10a20fa17c9d57d3510a2cf1f634bc0345ab9"
    "be00849842171d1e9e98b2674c0e38bfcf6c557a1692b01b71015a47ac9f7748840cad1da80cbb5b349309febb91"
    "2672b377c8b2072af1598b3700"
)
# Written by pycose 1.1.0 with the private key 000102...1f, protected {1: -8}, unprotected
# {4: '12345678'} and the payload 'hello'.
PYCOSE = bytes.fromhex(
    "d28443a10127a1044831323334353637384568656c6c6f5840aa69e774ba8a17c884b10edd16c7d74a0a5f5d0fc6"
    "500505fbec4fce1db5b787eb5fff94ab869d2d8d8d8b19d81c8264c151445cf24298b919cfe68511576b07"
)
LENGTHS = [0, 1, 23, 24, 255, 256, 4096, 65535]


def signed(payload, key_id=KEY_ID):
    return cose.pack_sign1(payload, SIGNER.sign(cose.to_be_signed(payload)), key_id)


def test_what_is_signed_is_what_the_working_group_signs():
    assert cose.to_be_signed(CONTENT) == EDDSA_02_SIGNED


def test_the_working_groups_signature_is_verified():
    ed25519.verify(EDDSA_01_PUBLIC, EDDSA_01[-64:], EDDSA_01_SIGNED)


def test_a_message_of_another_implementation_is_read_and_written_byte_for_byte():
    message = cose.parse_sign1(PYCOSE)
    assert (message.key_id, message.payload) == (b"12345678", b"hello")
    message.verify(PUBLIC)
    assert signed(b"hello", b"12345678") == PYCOSE


@pytest.mark.parametrize("message", [EDDSA_01, EDDSA_02], ids=["two parameters", "Ed448"])
def test_other_forms_of_cose_are_refused(message):
    with pytest.raises(DecodeError):
        cose.parse_sign1(message)


@pytest.mark.parametrize("key_id", [KEY_ID, None], ids=["named", "unnamed"])
@pytest.mark.parametrize("length", LENGTHS)
def test_cbor2_and_cryptography_read_what_we_write(length, key_id):
    payload = bytes(length)
    tag = cbor2.loads(signed(payload, key_id))
    protected, unprotected, content, signature = tag.value
    assert tag.tag == 18
    assert cbor2.loads(protected) == {1: -8}
    assert dict(unprotected) == ({} if key_id is None else {4: key_id})
    assert content == payload
    structure = cbor2.dumps(["Signature1", protected, b"", content])
    Ed25519PublicKey.from_public_bytes(PUBLIC).verify(signature, structure)


@pytest.mark.parametrize("tagged", [True, False])
@pytest.mark.parametrize("unprotected", [{}, {4: KEY_ID}], ids=["unnamed", "named"])
@pytest.mark.parametrize("length", LENGTHS)
def test_we_read_what_cbor2_and_cryptography_write(length, unprotected, tagged):
    payload = bytes(length)
    protected = cbor2.dumps({1: -8})
    signature = SIGNER.sign(cbor2.dumps(["Signature1", protected, b"", payload]))
    parts = [protected, unprotected, payload, signature]
    data = cbor2.dumps(cbor2.CBORTag(18, parts) if tagged else parts)
    message = cose.parse_sign1(data)
    message.verify(PUBLIC)
    assert message.payload == payload
    assert message.key_id == unprotected.get(4)


def test_a_message_in_a_buffer_that_can_be_written_is_read_too():
    message = cose.parse_sign1(bytearray(PYCOSE))
    message.verify(PUBLIC)
    assert message.payload == b"hello"


def test_another_payload_or_key_is_refused():
    with pytest.raises(AuthenticationError):
        cose.parse_sign1(PYCOSE.replace(b"hello", b"hallo")).verify(PUBLIC)
    with pytest.raises(AuthenticationError):
        cose.parse_sign1(PYCOSE).verify(EDDSA_01_PUBLIC)


def test_a_message_that_is_cut_or_followed_by_something_is_refused():
    for end in range(len(PYCOSE)):
        with pytest.raises(DecodeError):
            cose.parse_sign1(PYCOSE[:end])
    with pytest.raises(DecodeError):
        cose.parse_sign1(PYCOSE + b"\x00")


@pytest.mark.parametrize(
    ("name", "head"),
    [
        ("longer than need be", "5805"),
        ("longer than need be", "590005"),
        ("32 bits", "5a00000005"),
        ("64 bits", "5b0000000000000005"),
        ("indefinite", "5f45"),
        ("text", "65"),
        ("absent", "f6"),
        ("beyond the end", "59ffff"),
    ],
)
def test_a_payload_with_another_head_is_refused(name, head):
    damaged = PYCOSE.replace(b"\x45hello", bytes.fromhex(head) + b"hello")
    assert damaged != PYCOSE
    with pytest.raises(DecodeError):
        cose.parse_sign1(damaged)


@given(st.binary(max_size=128) | st.binary(max_size=64).map(lambda tail: PYCOSE[:17] + tail))
def test_no_bytes_raise_anything_but_a_decode_error(data):
    try:
        cose.parse_sign1(data)
    except DecodeError:
        pass


def test_what_cannot_be_written_is_refused():
    for arguments in (
        (b"", bytes(63)),
        (b"", SIGNATURE, bytes(7)),
        (bytes(65536), SIGNATURE),
    ):
        with pytest.raises(RangeError):
            cose.pack_sign1(*arguments)
    with pytest.raises(RangeError):
        cose.to_be_signed(bytes(65536))


def test_the_overhead_is_that_of_the_longest_form():
    assert len(signed(bytes(60000))) == 60000 + cose.OVERHEAD_BYTES
