"""SHA-512 and Ed25519 on whichever Python runs it.

usage: check_ed25519.py CASES_JSON
The file holds `lengths`, of messages to hash whole and in pieces, and `signed`, arrays of public
key, signature and message in hexadecimal digits. For each there is a line: the hash, the verdict.
"""

import binascii
import json
import sys

from lilong_protocol import ed25519
from lilong_protocol.errors import AuthenticationError
from lilong_protocol.sha512_pure import Sha512

PIECES = (1, 63, 128, 200)


def octets(text):
    return binascii.unhexlify(text)


def pattern(length):
    return bytes([(7 * index + length) & 0xFF for index in range(length)])


def sha512(message, size):
    digest = Sha512()
    for start in range(0, len(message), size):
        digest.update(message[start : start + size])
    return digest.digest()


def hashed(length):
    message = pattern(length)
    whole = sha512(message, length + 1)
    for size in PIECES:
        if sha512(message, size) != whole:
            raise SystemExit("failed: %d bytes in pieces of %d" % (length, size))
    return binascii.hexlify(whole).decode()


def verdict(public_key, signature, message):
    try:
        ed25519.verify(octets(public_key), octets(signature), octets(message))
    except AuthenticationError as error:
        return str(error)
    return "verified"


def main(path):
    with open(path) as source:
        cases = json.load(source)
    for length in cases["lengths"]:
        print(hashed(length))
    for case in cases["signed"]:
        print(verdict(*case))


if __name__ == "__main__":
    main(sys.argv[1])
