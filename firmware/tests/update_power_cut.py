"""An update and a configuration on LittleFS, with the power cut at flash operations; MicroPython.

`update_power_cut.py MODE STEP` reads manifests and files from the current folder, cuts the power
at every STEP-th flash operation of the whole way from OFFER to the confirmed trial, and after
each cut looks whether the node starts, and finishes. MODE says what the cut leaves of the
operation: "clean" nothing, "torn" the first half, "weak" some of its bits. It prints the numbers
of cuts, and "good".
"""

import asyncio
import gc
import os
import sys
from hashlib import sha256

import loader
from bootstate import CONFIRMED
from lilong_firmware.configuration import KEPT, Configuration
from lilong_firmware.configurations import Configurations
from lilong_firmware.errors import FirmwareError, RefusedError
from lilong_firmware.sink import Inbox
from lilong_firmware.transfer import Transfer
from lilong_firmware.update import Update
from lilong_protocol import cbor, cose, manifest

BLOCK = 512
BLOCKS = 160
PIECE = 400
EUI = bytes(8)


class PowerCut(BaseException):
    """The power is gone."""


class Flash:
    """A block device in memory. From operation `left` on nothing changes any more."""

    def __init__(self, cells: bytearray, left: int, mode: str) -> None:
        self.cells = cells
        self.left = left
        self.mode = mode
        self.erased = 0
        self.programmed = 0
        self._view = memoryview(cells)

    def readblocks(self, block: int, buffer: bytearray, offset: int = 0) -> None:
        """Read."""
        at = block * BLOCK + offset
        buffer[:] = self._view[at : at + len(buffer)]

    def writeblocks(self, block: int, buffer: bytes, offset: int = 0) -> int:
        """Program."""
        at = block * BLOCK + offset
        size = len(buffer)
        if self.left > 0:
            self.cells[at : at + size] = buffer
            self.programmed += size
        elif self.left == 0:
            if self.mode == "torn":
                self.cells[at : at + size // 2] = buffer[: size // 2]
            elif self.mode == "weak":
                for index in range(size):
                    self.cells[at + index] &= buffer[index] | 0x35
        return self._count()

    def ioctl(self, request: int, block: int) -> int:
        """Count and erase."""
        if request == 4:
            return BLOCKS
        if request == 5:
            return BLOCK
        if request != 6:
            return 0
        at = block * BLOCK
        if self.left > 0:
            self.cells[at : at + BLOCK] = b"\xff" * BLOCK
            self.erased += 1
        elif self.left == 0 and self.mode != "clean":
            self.cells[at : at + BLOCK // 2] = b"\xff" * (BLOCK // 2)
        return self._count()

    def _count(self) -> int:
        # Once: what closes files on the way out must not raise again.
        self.left -= 1
        if self.left == -1:
            raise PowerCut
        return 0


class Verified:
    """open_manifest with a memory: a sweep verifies the same few bytes a thousand times."""

    def __init__(self) -> None:
        self._known = {}

    def open(self, data, keys, step):
        """Verify for real where this was not done before."""
        if data not in self._known:
            self._known[data] = manifest.open_manifest(data, keys, step)
        return self._known[data]


class Node:
    """One boot of a node with the smallest application."""

    def __init__(self, opener) -> None:
        self.boot = loader.Loader().choose()
        self.configuration = Configuration("settings.json", lambda _line: None)
        inbox = Inbox("inbox")
        self.wanted = None
        settings = Configurations(inbox, self.configuration, "settings.json", EUI)
        update = Update(
            inbox, self.boot, "lilong-unix", "update.pub", lambda: None, lambda: None, opener
        )
        self.transfer = Transfer(settings, lambda: update, self)

    def check(self) -> None:
        """Run both modules of the slot; what they say they are must be what the loader says."""
        folder = loader.FOLDERS[self.boot.slot]
        for module in ("start", "part") if folder else ():
            names = {}
            exec(read(folder + "/lilong_firmware/" + module + ".py").decode(), names)  # noqa: S102
            if names["SEQUENCE"] != self.boot.sequence:
                raise SystemExit("another version runs than the loader says")

    def opened(self) -> None:
        """Hear from a gateway."""
        if self.boot.trial and not self.boot.confirm():
            raise SystemExit("not confirmed")
        if self.configuration.trying and not self.configuration.keep():
            raise SystemExit("configuration not kept")

    def put(self, kind: int, index: int, data: bytes) -> None:
        """Push one object, from where it was left."""
        body = cbor.encode_sequence((kind, index, len(data), sha256(data).digest()))
        offset = self._ask(self.transfer.offer, body)
        while offset < len(data):
            body = cbor.encode_sequence((offset, data[offset : offset + PIECE]))
            offset = self._ask(self.transfer.write, body)

    def apply(self, kind: int) -> None:
        """Put it to use."""
        self._ask(self.transfer.apply, cbor.encode(kind))

    def _ask(self, method, body: bytes) -> int:
        asyncio.new_event_loop()
        payload = asyncio.run(method(body))
        return cbor.decode(payload) if payload else 0


class Release:
    """What a gateway pushes: files, their signed manifest, and a configuration."""

    def __init__(self, sequence: int) -> None:
        self.sequence = sequence
        self.manifest = read("release%d.cose" % sequence)
        listed = manifest.decode_manifest(cose.parse_sign1(self.manifest).payload)
        self.files = [read("release%d/" % sequence + segment.name) for segment in listed.segments]
        self.settings = read("settings%d.json" % sequence)


class Bench:
    """A flash, and all that a gateway wants of the node on it."""

    def __init__(self, mode: str) -> None:
        self._mode = mode
        self._opener = Verified().open
        self.least = 0
        """The sequence below which no node may fall any more."""

    def cut(self, cells: bytearray, release: Release, left: int) -> bool:
        """Go the whole way unless the power is cut at operation `left`; whether it was."""
        flash = Flash(cells, left, self._mode)
        os.mount(os.VfsLfs2(flash), "/flash")
        os.chdir("/flash")
        try:
            self.go(release)
        except BaseException:
            # What a file that is closed on the way out says in its place.
            if flash.left >= 0:
                raise
            return True
        finally:
            os.chdir("/")
            os.umount("/flash")
            gc.collect()
            self.spent = (left - flash.left, flash.erased, flash.programmed)
        return False

    def go(self, release: Release) -> None:
        """Boot, push, boot ... until everything is as it should be."""
        for _ in range(6):
            node = Node(self._opener)
            node.check()
            if node.boot.sequence < self.least:
                raise SystemExit("an older version runs than was confirmed")
            node.opened()
            if node.boot.sequence != release.sequence:
                node.put(1, 0, release.manifest)
                for index, data in enumerate(release.files):
                    node.put(2, index, data)
                node.apply(2)
            elif read("settings.json") != release.settings:
                node.put(0, 0, release.settings)
                node.apply(0)
            elif (node.boot.result, node.configuration.state) != (CONFIRMED, KEPT):
                raise SystemExit("the last results are wrong")
            else:
                return
        raise SystemExit("it does not come to its end")


def read(path: str) -> bytes:
    """Return the whole file."""
    with open(path, "rb") as file:
        return file.read()


def prepared(releases: "list[Release]", bench: Bench) -> bytes:
    """Return a flash on which two releases have run, one in each slot."""
    cells = bytearray(b"\xff" * (BLOCK * BLOCKS))
    public = read("update.pub")
    flash = Flash(cells, 1 << 28, "clean")
    os.VfsLfs2.mkfs(flash)
    os.mount(os.VfsLfs2(flash), "/flash")
    for name, data in (("update.pub", public), ("settings.json", b"{}")):
        with open("/flash/" + name, "wb") as file:
            file.write(data)
    os.umount("/flash")
    for release in releases:
        bench.cut(cells, release, 1 << 28)
    return bytes(cells)


def sweep(mode: str, step: int) -> None:
    """Cut the power at every `step`-th operation of the way to the third release."""
    bench = Bench(mode)
    releases = [Release(sequence) for sequence in (1, 2, 3)]
    before = prepared(releases[:2], bench)
    bench.least = releases[1].sequence
    left = cuts = 0
    cells = bytearray(len(before))
    while True:
        cells[:] = before
        if not bench.cut(cells, releases[2], left):
            break
        cuts += 1
        try:
            bench.cut(cells, releases[2], 1 << 28)
        except (SystemExit, FirmwareError) as error:
            raise SystemExit("after cut %d, %s: %r" % (left, mode, error))
        left += step
    sys.stdout.write("spent %d %d %d\n" % bench.spent)
    sys.stdout.write("good %d\n" % cuts)


def fill() -> None:
    """Leave no room for the third release: it is refused, and all of the first stays."""
    bench = Bench("clean")
    releases = [Release(sequence) for sequence in (1, 2, 3)]
    flash = Flash(bytearray(prepared(releases[:2], bench)), 1 << 28, "clean")
    os.mount(os.VfsLfs2(flash), "/flash")
    os.chdir("/flash")
    with open("ballast", "wb") as file:
        for _ in range(os.statvfs(".")[3] - 10):
            file.write(bytes(BLOCK))
    node = Node(Verified().open)
    before = listing("a")
    try:
        node.put(1, 0, releases[2].manifest)
    except RefusedError as problem:
        sys.stdout.write(str(problem) + "\n")
    if not before or listing("a") != before:
        raise SystemExit("something was destroyed")
    sys.stdout.write("good\n")


def listing(folder: str) -> "list[str]":
    """Return the names and sizes of what is in a slot."""
    return sorted(str(entry) for entry in os.ilistdir(folder + "/lilong_firmware"))


if sys.argv[1] == "full":
    fill()
else:
    sweep(sys.argv[1], int(sys.argv[2]))
