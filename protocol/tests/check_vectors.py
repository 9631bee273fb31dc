"""Cryptography against vectors that others wrote, on whichever Python runs it.

usage: check_vectors.py FOLDER
"""

import binascii
import json
import sys

from lilong_protocol import cbor, ed25519, kdf, schedule
from lilong_protocol.aead import Aead
from lilong_protocol.errors import AuthenticationError

LENGTHS = {"Key": schedule.KEY_BYTES, "IV": schedule.NONCE_BYTES}


def octets(text):
    return binascii.unhexlify(text)


def load(folder, name):
    with open(folder + "/" + name) as source:
        return json.load(source)


def groups(folder, name):
    for group in load(folder, name)["testGroups"]:
        for case in group["tests"]:
            yield group, case


def check(condition, text):
    if not condition:
        raise SystemExit("failed: " + text)


def opens(aead, nonce, sealed, aad):
    try:
        return aead.open(nonce, sealed, aad)
    except AuthenticationError:
        return None


def is_ours(group):
    tag = group["tagSize"]
    usable = group["keySize"] in (128, 256) and 56 <= group["ivSize"] <= 104
    return usable and 32 <= tag <= 128 and tag % 16 == 0


def wycheproof_ccm(folder):
    return run_ccm(folder, is_ours)


def wycheproof_ccm_of_adverts(folder):
    """Those with 6-byte tags, which the ones above hold too: all of them have 12-byte nonces."""
    return run_ccm(folder, lambda group: is_ours(group) and group["tagSize"] == 48)


def run_ccm(folder, wanted):
    count = 0
    for group, case in groups(folder, "wycheproof_aes_ccm.json"):
        if not wanted(group):
            continue
        count += 1
        name = "aes-ccm " + str(case["tcId"])
        aead = Aead(octets(case["key"]), group["tagSize"] // 8)
        nonce, aad, message = octets(case["iv"]), octets(case["aad"]), octets(case["msg"])
        sealed = octets(case["ct"] + case["tag"])
        valid = case["result"] == "valid"
        check((opens(aead, nonce, sealed, aad) == message) == valid, name)
        check((aead.seal(nonce, message, aad) == sealed) == valid, name)
    return count


def cose_ccm(folder):
    cases = load(folder, "cose_wg_aes_ccm.json")
    for case in cases:
        aead = Aead(octets(case["cek"]), case["M"])
        sealed = aead.seal(octets(case["iv"]), case["pt"].encode(), octets(case["aad"]))
        check(sealed == octets(case["ct"]), case["n"])
    return len(cases)


def wycheproof_kdf(folder):
    count = 0
    for _, case in groups(folder, "wycheproof_hkdf_sha256.json"):
        if case["result"] != "valid":
            continue
        count += 1
        secret, salt, info = octets(case["ikm"]), octets(case["salt"]), octets(case["info"])
        derived = kdf.hkdf(secret, salt, info, case["size"])
        check(derived == octets(case["okm"]), "hkdf " + str(case["tcId"]))
    for group, case in groups(folder, "wycheproof_hmac_sha256.json"):
        count += 1
        tag = kdf.hmac_sha256(octets(case["key"]), octets(case["msg"]))[: group["tagSize"] // 8]
        valid = case["result"] == "valid"
        check((tag == octets(case["tag"])) == valid, "hmac " + str(case["tcId"]))
    return count


def derived(secret, salt, context, identifier, label):
    return schedule.derive(secret, salt, context, identifier, label, LENGTHS[label])


def oscore(folder):
    vectors = load(folder, "rfc8613_oscore.json")
    secret = octets(vectors["master_secret"])
    for case in vectors["derivations"]:
        salt = octets(case["master_salt"])
        context = None if case["id_context"] is None else octets(case["id_context"])

        common_iv = derived(secret, salt, context, b"", "IV")
        check(common_iv == octets(case["common_iv"]), "common IV")
        for side in ("sender", "recipient"):
            identifier = octets(case[side + "_id"])
            key = derived(secret, salt, context, identifier, "Key")
            check(key == octets(case[side + "_key"]), side + " key")
            nonce = schedule.nonce(common_iv, identifier, 0)
            check(nonce == octets(case[side + "_nonce"]), side + " nonce")
    return len(vectors["derivations"])


def oscore_protected(folder):
    """Ciphertexts of RFC 8613 C.4 and C.5: key, nonce, additional data and tag at once."""
    vectors = load(folder, "rfc8613_oscore.json")
    secret = octets(vectors["master_secret"])
    for case in vectors["protected"]:
        salt, identifier = octets(case["master_salt"]), octets(case["sender_id"])
        partial_iv = octets(case["partial_iv"])
        aead = Aead(derived(secret, salt, None, identifier, "Key"))
        common_iv = derived(secret, salt, None, b"", "IV")
        nonce = schedule.nonce(common_iv, identifier, int.from_bytes(partial_iv, "big"))
        external = cbor.encode([1, [10], identifier, partial_iv, b""])
        aad = cbor.encode(["Encrypt0", b"", external])
        plaintext, sealed = octets(case["plaintext"]), octets(case["ciphertext"])
        check(aead.seal(nonce, plaintext, aad) == sealed, "oscore sealed")
        check(opens(aead, nonce, sealed, aad) == plaintext, "oscore opened")
    return len(vectors["protected"])


def verifies(public_key, signature, message):
    try:
        ed25519.verify(public_key, signature, message)
    except AuthenticationError:
        return False
    return True


def wycheproof_ed25519(folder):
    count = 0
    for group, case in groups(folder, "wycheproof_ed25519.json"):
        count += 1
        key = octets(group["publicKey"]["pk"])
        verified = verifies(key, octets(case["sig"]), octets(case["msg"]))
        check(verified == (case["result"] == "valid"), "ed25519 " + str(case["tcId"]))
    return count


def main(folder):
    for run in (
        wycheproof_ccm,
        wycheproof_ccm_of_adverts,
        cose_ccm,
        wycheproof_kdf,
        oscore,
        oscore_protected,
        wycheproof_ed25519,
    ):
        print(run.__name__, run(folder))


if __name__ == "__main__":
    main(sys.argv[1])
