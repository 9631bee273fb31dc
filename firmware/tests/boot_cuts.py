"""Cuts the power in each operation of boots that mend something; for MicroPython."""

import os

from boot_bench import (
    BLOCK_BYTES,
    FOLDER,
    KEY,
    PUBLIC,
    SETTINGS,
    Node,
    PowerOffError,
    files,
    kept,
    read,
    write,
)

from bootstate import BootState
from lilong_firmware.virtual.nor import WAYS

BOOTS = 5
"""Enough for the slowest way to files."""


class Sweep:
    """Every start is booted until there are files, without a cut and then with one anywhere."""

    def __init__(self):
        self.cuts = 0
        self.problems = []

    def run(self):
        for name, (node, held) in sorted(starts().items()):
            self._sweep(name, bytes(node.flash.data), dict(node.nvs.values), held)
        return {"cuts": self.cuts, "problems": self.problems[:4]}

    def _sweep(self, name, data, values, held):
        node = Node(data, values)
        node.boots()
        operations, writes = node.flash.operations, node.nvs.writes
        node.off()
        for cut in range(operations):
            for way in WAYS:
                node = Node(data, values)
                node.flash.cut_after(cut, way, self.cuts)
                self._cut(name, node, held)
        for cut in range(writes):
            for after in (False, True):
                node = Node(data, values)
                node.nvs.left, node.nvs.after = cut, after
                self._cut(name, node, held)

    def _cut(self, name, node, held):
        self.cuts += 1
        try:
            node.boots()
            self.problems.append(name + ": no cut")
        except PowerOffError:
            pass
        node.off()
        node.flash.cut_after(None)
        later = Node(node.flash.data, node.nvs.values)
        boots = later.boots()
        if not 1 <= boots <= BOOTS:
            self.problems.append(name + ": boots " + str(boots))
        problem = wrong(held)
        if problem:
            self.problems.append(name + ", cut " + str(self.cuts) + ": " + problem)
        # Both places hold the key again, if either did: the other one may go now.
        if held and later.nvs.values.get("key", b"")[:-4] != KEY:
            self.problems.append(name + ": no copy of the key")
        later.off()


def starts():
    """Flash and NVS before the cuts, and whether there is a key anywhere."""
    spoilt = Node(nvs=kept()).made(files())
    spoilt.flash.data[: 2 * BLOCK_BYTES] = b"\x5a" * (2 * BLOCK_BYTES)
    return {
        "blank": (Node(), False),
        "provisioned over NVS": (Node(nvs=kept()), True),
        "spoilt": (spoilt, True),
        "about to be made": (Node(spoilt.flash.data, kept(failures=2)), True),
        "no NVS": (Node().made(files()), True),
        "no files": (Node(nvs=kept()).made({}), True),
        "torn key": (Node(nvs=kept()).made(files(key_bin=KEY[:5])), True),
    }


def wrong(held):
    """What a node after a cut lacks."""
    if held and read("key.bin") != KEY:
        return "the key is " + repr(read("key.bin"))
    if held and (read("update.pub") != PUBLIC or read("settings.json") != SETTINGS):
        return "a file is missing"
    if held and BootState(FOLDER + "boot.bin").highest != 41:
        return "the floor is gone"
    try:
        write("goes.on", b"1" * 700)
        os.remove(FOLDER + "goes.on")
    except OSError as error:
        return repr(error)
    return ""
