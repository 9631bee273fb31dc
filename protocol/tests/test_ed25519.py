import hashlib
import json
import subprocess
import sys
from itertools import pairwise
from math import isqrt
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from lilong_protocol import ed25519, sha512_pure
from lilong_protocol.errors import AuthenticationError
from lilong_protocol.sha512 import Sha512

PROTOCOL = Path(__file__).parent.parent
P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
LENGTHS = [*range(301), 367, 368, 383, 384, 1023, 4096]
IDENTITY = (1).to_bytes(32, "little")

# RFC 8032, section 7.1: public key, signature, message.
RFC_8032 = {
    "TEST 1": (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        (
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
            "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
        ),
        "",
    ),
    "TEST 2": (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        (
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
            "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
        ),
        "72",
    ),
    "TEST 3": (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        (
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
            "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"
        ),
        "af82",
    ),
    "TEST SHA(abc)": (
        "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
        (
            "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b589"
            "09351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704"
        ),
        (
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
            "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"
        ),
    ),
}
KEY, SIGNATURE, MESSAGE = (bytes.fromhex(text) for text in RFC_8032["TEST 3"])

# y of the points whose order divides 8; both signs of x, where x is not 0, are points.
Y_OF_ORDER_8 = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7
SMALL_ORDER = {
    "order 1": 1,
    "order 2": P - 1,
    "order 4": 0,
    "order 4, negative": 1 << 255,
    "order 8": Y_OF_ORDER_8,
    "order 8, negative": Y_OF_ORDER_8 | 1 << 255,
    "order 8, other y": P - Y_OF_ORDER_8,
    "order 8, other y, negative": P - Y_OF_ORDER_8 | 1 << 255,
}


def octets(number):
    return number.to_bytes(32, "little")


def secret_scalar(seed):
    """Section 5.1.5, steps 1 to 3."""
    low = int.from_bytes(hashlib.sha512(seed).digest()[:32], "little")
    return low & (2**254 - 8) | 2**254


def challenge(commitment, key, message):
    return int.from_bytes(hashlib.sha512(commitment + key + message).digest(), "little") % ORDER


def signed_with_zero_nonce(seed, commitment, message):
    """Sign with R the identity, in an encoding of our choice; returns key and signature."""
    key = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
    scalar = challenge(commitment, key, message) * secret_scalar(seed) % ORDER
    return key, commitment + octets(scalar)


def message_with_challenge_divisible_by_8(key):
    messages = (b"update %d" % number for number in range(10_000))
    return next(each for each in messages if challenge(IDENTITY, key, each) % 8 == 0)


def is_square(number):
    return pow(number, (P - 1) // 2, P) in {0, 1}


def y_of_curve_points(below):
    d = -121665 * pow(121666, -1, P) % P
    return [y for y in range(below) if is_square((y * y - 1) * pow(d * y * y + 1, -1, P))]


@pytest.mark.parametrize("name", RFC_8032)
def test_the_vectors_of_the_rfc_are_verified(name):
    ed25519.verify(*(bytes.fromhex(text) for text in RFC_8032[name]))


@pytest.mark.parametrize("name", RFC_8032)
def test_another_message_is_refused(name):
    key, signature, message = (bytes.fromhex(text) for text in RFC_8032[name])
    with pytest.raises(AuthenticationError, match="does not match"):
        ed25519.verify(key, signature, message + b"\0")


@pytest.mark.parametrize("factor", range(1, 16))
def test_a_scalar_with_multiples_of_the_order_added_is_refused(factor):
    scalar = int.from_bytes(SIGNATURE[32:], "little") + factor * ORDER
    with pytest.raises(AuthenticationError, match="not below the order"):
        ed25519.verify(KEY, SIGNATURE[:32] + octets(scalar), MESSAGE)


def test_the_order_itself_is_refused_as_a_scalar_and_the_number_below_is_read():
    for scalar, text in ((ORDER, "not below the order"), (ORDER - 1, "does not match")):
        with pytest.raises(AuthenticationError, match=text):
            ed25519.verify(KEY, SIGNATURE[:32] + octets(scalar), MESSAGE)


def test_only_the_canonical_encoding_of_r_is_verified():
    seed, message = bytes(range(32)), b"manifest"
    ed25519.verify(*signed_with_zero_nonce(seed, IDENTITY, message), message)
    for number in (P + 1, 1 | 1 << 255, P + 1 | 1 << 255):
        key, signature = signed_with_zero_nonce(seed, octets(number), message)
        with pytest.raises(AuthenticationError, match="does not match"):
            ed25519.verify(key, signature, message)


def test_a_key_whose_y_is_not_below_p_is_refused_where_y_less_p_is_a_point():
    assert len(y_of_curve_points(19)) > 3
    for y in y_of_curve_points(19):
        for sign in (0, 1 << 255):
            with pytest.raises(AuthenticationError, match="canonical"):
                ed25519.verify(octets(P + y | sign), SIGNATURE, MESSAGE)
    with pytest.raises(AuthenticationError, match="canonical"):
        ed25519.verify(bytes([0xFF]) * 32, SIGNATURE, MESSAGE)


@pytest.mark.parametrize("y", [1, P - 1])
def test_a_key_with_the_sign_of_an_x_that_is_zero_is_refused(y):
    with pytest.raises(AuthenticationError, match="canonical"):
        ed25519.verify(octets(y | 1 << 255), SIGNATURE, MESSAGE)


def test_a_key_that_is_no_point_is_refused():
    points = y_of_curve_points(200)
    assert 50 < len(points) < 150
    for y in set(range(2, 200)) - set(points):
        with pytest.raises(AuthenticationError, match="not a point of the curve"):
            ed25519.verify(octets(y), SIGNATURE, MESSAGE)


@pytest.mark.parametrize("name", SMALL_ORDER)
def test_what_anybody_can_sign_under_a_key_of_small_order_is_refused(name):
    key = octets(SMALL_ORDER[name])
    forged = IDENTITY + bytes(32)
    message = message_with_challenge_divisible_by_8(key)
    with pytest.raises(AuthenticationError, match="small order"):
        ed25519.verify(key, forged, message)


@pytest.mark.parametrize("size", [0, 31, 33, 64])
def test_a_key_of_another_length_is_refused(size):
    with pytest.raises(AuthenticationError, match="32 bytes"):
        ed25519.verify((KEY + KEY)[:size], SIGNATURE, MESSAGE)


@pytest.mark.parametrize("size", [0, 32, 63, 65, 128])
def test_a_signature_of_another_length_is_refused(size):
    with pytest.raises(AuthenticationError, match="64 bytes"):
        ed25519.verify(KEY, (SIGNATURE + SIGNATURE)[:size], MESSAGE)


@given(st.integers(0, 2**253 - 1) | st.integers(0, 2**20).map(lambda less: 2**253 - 1 - less))
def test_the_digits_of_a_scalar_are_the_scalar_and_far_apart(scalar):
    places = [place for place, digit in enumerate(ed25519._digits(scalar)) if digit]
    digits = [ed25519._digits(scalar)[place] - 8 for place in places]
    assert sum(digit << place for place, digit in zip(places, digits, strict=True)) == scalar
    assert all(digit % 2 and abs(digit) < 8 for digit in digits)
    assert all(after - before >= 4 for before, after in pairwise(places))


@settings(max_examples=60, deadline=None)
@given(seed=st.binary(min_size=32, max_size=32), message=st.binary(max_size=300), data=st.data())
def test_what_cryptography_signs_is_verified_and_any_flipped_bit_is_refused(seed, message, data):
    signer = Ed25519PrivateKey.from_private_bytes(seed)
    key, signature = signer.public_key().public_bytes_raw(), signer.sign(message)
    ed25519.verify(key, signature, message)
    whole = bytearray(key + signature + message)
    bit = data.draw(st.integers(0, 8 * len(whole) - 1))
    whole[bit >> 3] ^= 1 << (bit & 7)
    with pytest.raises(AuthenticationError):
        ed25519.verify(bytes(whole[:32]), bytes(whole[32:96]), bytes(whole[96:]))


def test_every_flipped_bit_of_a_signature_is_refused():
    for bit in range(8 * len(SIGNATURE)):
        damaged = bytearray(SIGNATURE)
        damaged[bit >> 3] ^= 1 << (bit & 7)
        with pytest.raises(AuthenticationError):
            ed25519.verify(KEY, bytes(damaged), MESSAGE)


def test_the_step_is_called_at_every_block_of_the_message_and_throughout_the_rest():
    signer = Ed25519PrivateKey.from_private_bytes(bytes(32))
    key = signer.public_key().public_bytes_raw()
    for blocks in (0, 1, 40):
        message = bytes(128 * blocks)
        calls = []
        ed25519.verify(key, signer.sign(message), message, lambda calls=calls: calls.append(None))
        assert len(calls) == blocks + 17


def test_what_the_step_raises_ends_the_work():
    def stop():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ed25519.verify(KEY, SIGNATURE, MESSAGE, stop)


def test_the_interpreters_own_sha512_is_used_where_there_is_one():
    assert Sha512 is hashlib.sha512


def cube_root(number):
    root = 1 << -(-number.bit_length() // 3)
    while root**3 > number:
        root = (2 * root + number // root**2) // 3
    return root


def test_the_constants_of_sha512_are_the_fractions_of_roots_of_primes():
    primes = [n for n in range(2, 410) if all(n % divisor for divisor in range(2, isqrt(n) + 1))]
    assert len(primes) == 80
    fractions = [cube_root(prime << 192) % 2**64 for prime in primes]
    assert b"".join(each.to_bytes(8, "big") for each in fractions) == sha512_pure._K
    assert [isqrt(prime << 128) % 2**64 for prime in primes[:8]] == list(sha512_pure._INITIAL)


def test_a_hash_that_was_asked_for_goes_on():
    digest = sha512_pure.Sha512()
    for size in (0, 100, 27, 1, 128, 300):
        digest.update(memoryview(bytes(size)))
        assert digest.digest() == digest.digest()
    assert digest.digest() == hashlib.sha512(bytes(556)).digest()


def pattern(length):
    return bytes((7 * index + length) & 0xFF for index in range(length))


def signed_cases():
    """Public key, signature, message, and the verdict that check_ed25519.py shall print."""
    for texts in RFC_8032.values():
        yield *(bytes.fromhex(text) for text in texts), "verified"
        yield (
            *(bytes.fromhex(text) for text in texts[:2]),
            b"other",
            "the signature does not match",
        )
    for length in (100, 1023, 4096):
        signer = Ed25519PrivateKey.from_private_bytes(pattern(32))
        message = pattern(length)
        yield signer.public_key().public_bytes_raw(), signer.sign(message), message, "verified"
    for y in SMALL_ORDER.values():
        yield octets(y), SIGNATURE, MESSAGE, "the public key is a point of small order"
    for y in (P, P + 3, 1 | 1 << 255):
        yield octets(y), SIGNATURE, MESSAGE, "the public key is not in canonical form"
    yield octets(2), SIGNATURE, MESSAGE, "the public key is not a point of the curve"
    yield KEY, SIGNATURE[:63], MESSAGE, "an Ed25519 signature has 64 bytes"
    yield KEY[:31], SIGNATURE, MESSAGE, "an Ed25519 public key has 32 bytes"
    beyond = octets(int.from_bytes(SIGNATURE[32:], "little") + ORDER)
    text = "S of the signature is not below the order of the group"
    yield KEY, SIGNATURE[:32] + beyond, MESSAGE, text


@pytest.fixture(params=["cpython", "micropython", "micropython32"])
def command(request):
    if request.param == "cpython":
        return [sys.executable]
    return [str(request.getfixturevalue(request.param)), "-X", "heapsize=300k"]


def test_hashes_and_verdicts_are_the_same_on_every_interpreter(command, tmp_path):
    cases = list(signed_cases())
    given_cases = {
        "lengths": LENGTHS,
        "signed": [[part.hex() for part in case[:3]] for case in cases],
    }
    path = tmp_path / "cases.json"
    path.write_text(json.dumps(given_cases), encoding="ascii")
    done = subprocess.run(
        [*command, str(PROTOCOL / "tests" / "check_ed25519.py"), str(path)],
        env={"PYTHONPATH": str(PROTOCOL), "MICROPYPATH": f".frozen:{PROTOCOL}"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    hashes = [hashlib.sha512(pattern(length)).hexdigest() for length in LENGTHS]
    assert done.stdout.splitlines() == hashes + [case[3] for case in cases]
