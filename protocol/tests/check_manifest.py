"""Opens update manifests on whichever Python runs it.

usage: check_manifest.py CASES_JSON
The file holds arrays of the message and the public keys, in hexadecimal digits. For each there is
a line: what the manifest says, or the kind of error and its words.
"""

import binascii
import json
import sys

from lilong_protocol.errors import AuthenticationError, DecodeError
from lilong_protocol.manifest import encode_manifest, open_manifest, split_public_keys


def octets(text):
    return binascii.unhexlify(text)


def opened(message, keys):
    steps = []
    manifest = open_manifest(
        octets(message), split_public_keys(octets(keys)), lambda: steps.append(0)
    )
    if not steps:
        raise SystemExit("failed: nobody could feed a watchdog")
    return binascii.hexlify(encode_manifest(manifest)).decode()


def verdict(message, keys):
    try:
        return opened(message, keys)
    except DecodeError as error:
        return "refused: " + str(error)
    except AuthenticationError as error:
        return "not signed: " + str(error)


def main(path):
    with open(path) as source:
        cases = json.load(source)
    for message, keys in cases:
        print(verdict(message, keys))


if __name__ == "__main__":
    main(sys.argv[1])
