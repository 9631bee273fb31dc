"""What a gateway does with an update or a configuration, and a node that restarts by itself."""

import hashlib
import signal
import time
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from lilong_protocol import cbor, cose
from lilong_protocol.manifest import APPLICATION, Manifest, Segment, encode_manifest
from lilong_protocol.request import APPLY, DONE, OFFER, STATUS, WRITE
from lilong_tools.update import imports

ROOT = Path(__file__).parents[2]
PIECE = 940
RESETS = {75: 2, -signal.SIGALRM: 3}
CONFIGURATION, MANIFEST, SEGMENT = range(3)


class RefusedError(Exception):
    pass


class LostError(Exception):
    pass


class Maker:
    """Signs updates for virtual nodes."""

    def __init__(self):
        self._key = Ed25519PrivateKey.generate()
        self.public = self._key.public_key().public_bytes_raw()

    def manifest(self, files, sequence, oldest=0, name="lilong-unix", kind=APPLICATION):
        segments = [
            Segment(path, len(data), hashlib.sha256(data).digest())
            for path, data in sorted(files.items())
        ]
        payload = encode_manifest(Manifest(name, sequence, oldest, "0.2.0", kind, segments))
        signature = self._key.sign(cose.to_be_signed(payload))
        return cose.pack_sign1(payload, signature, cose.key_id(self.public))


class Node:
    """A bench whose node starts again after each reset, as one with power does."""

    def __init__(self, bench, **environment):
        self.bench = bench
        self.gateway = bench.gateway
        self.program = ROOT / "firmware" / "main.py"
        self.environment = environment
        self.boots = 0

    def start(self, cause=1):
        self.bench.start(self.program, cause, **self.environment)
        self.boots += 1

    def run_until(self, condition, limit_s=90.0):
        """Run the gateway until the condition holds; a node that resets is started again."""
        deadline = time.monotonic() + limit_s
        while not condition():
            assert time.monotonic() < deadline, self.bench.trace()[-5:]
            code = self.bench.process.poll()
            if code is None:
                self.gateway.step()
                continue
            self.bench.kill()
            assert code in RESETS, self.bench.output
            self.start(RESETS[code])

    def crash(self):
        self.bench.kill()
        self.start()

    def ask(self, method, *fields):
        gateway, boots = self.gateway, self.boots
        self.run_until(lambda: gateway.request(method, cbor.encode_sequence(fields)))
        turns = gateway.turns
        count = len(gateway.responses)
        self.run_until(
            lambda: len(gateway.responses) > count or self.boots != boots or gateway.turns != turns
        )
        if len(gateway.responses) == count:
            raise LostError
        _, code, payload = gateway.responses[-1]
        if code != DONE:
            raise RefusedError(payload.decode())
        return cbor.decode_sequence(payload)

    def status(self):
        while True:
            try:
                return self.ask(STATUS)
            except LostError:
                continue

    def put(self, kind, index, data, between=None):
        offset = self.ask(OFFER, kind, index, len(data), hashlib.sha256(data).digest())[0]
        while offset < len(data):
            if between is not None:
                between()
            offset = self.ask(WRITE, offset, data[offset : offset + PIECE])[0]

    def update(self, manifest, files, between=None):
        while True:
            try:
                self.put(MANIFEST, 0, manifest, between)
                for index, name in enumerate(sorted(files)):
                    self.put(SEGMENT, index, files[name], between)
                self.ask(APPLY, SEGMENT)
            except LostError:
                continue
            return

    def configure(self, data, between=None):
        while True:
            try:
                self.put(CONFIGURATION, 0, data, between)
                self.ask(APPLY, CONFIGURATION)
            except LostError:
                continue
            return


def application(version):
    """Every module of the application, as source, under another version."""
    tree = imports.source_tree(ROOT).modules()
    names = {name: imports.segment_name(name, path)[: -len(".mpy")] for name, path in tree.items()}
    files = {f"{names[name]}.py": path.read_bytes() or b"\n" for name, path in tree.items()}
    files["lilong_firmware/version.py"] = f'FIRMWARE = "lilong {version}"\n'.encode()
    return files
