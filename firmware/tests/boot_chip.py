"""Runs _boot.py as a chip does: `boot_chip.py PATH CASE` prints a JSON object; MicroPython."""

import json
import os
import sys

import boot_bench
import vfs
from boot_bench import BLOCK_BYTES, KEY, Node, files, kept

# No module can be found once the file system is the node's.
import bootstate
import copies
import keepsakes  # noqa: F401
import loader
import storage  # noqa: F401

OTHER = b"another key 1234"
POWER_ON = 1
DEEP_SLEEP = 4


class ResetError(BaseException):
    """The chip starts again."""


class Chip:
    """The modules esp32 and machine, over one node."""

    PWRON_RESET = POWER_ON
    WDT_RESET = 3
    DEEPSLEEP_RESET = DEEP_SLEEP
    TYPE_DATA = 1

    def __init__(self, node, cause=POWER_ON):
        self.Partition = self
        self.node = node
        self.cause = cause
        self.watchdogs = []
        self.resets = 0
        self.partitions = {"vfs": [node.flash]}
        self.nvs = True

    def find(self, kind, label):
        assert kind == self.TYPE_DATA
        return self.partitions.get(label, [])

    def NVS(self, namespace):  # noqa: N802 - the name in esp32
        if not self.nvs:
            raise OSError(-0x1101)
        assert namespace == "lilong"
        return self.node.nvs

    def WDT(self, timeout):  # noqa: N802 - the name in machine
        self.watchdogs.append(timeout)

    def reset_cause(self):
        return self.cause

    def reset(self):
        self.resets += 1
        raise ResetError

    def run(self, program):
        """Boot until it leaves the way to main.py free."""
        sys.modules["esp32"] = sys.modules["machine"] = self
        while True:
            try:
                vfs.umount("/")
            except OSError:
                pass
            sys.path[:] = ["", ".frozen", "/lib"]
            try:
                exec(program, {"__name__": "__main__"})  # noqa: S102 - as a chip runs what is frozen
            except ResetError:
                continue
            return self.told()

    def told(self):
        return {
            "resets": self.resets,
            "watchdogs": self.watchdogs,
            "path": list(sys.path),
            "key": (boot_bench.read("key.bin") or b"").decode(),
            "files": sorted(os.listdir("/")),
            "operations": self.node.flash.operations,
        }

    def rotate(self, key):
        """Give the running node another key, as it does when a gateway moves it; tell NVS's."""
        boot_bench.write("key.bin", key)
        # The modules of this process: the loader was not imported as a chip would have it.
        sys.modules["esp32"] = sys.modules["machine"] = self
        loader.esp32 = self
        loader.Boot(bootstate.BootState(), 0, trial=False, recovery=False).keep()
        nvs = copies.Copies(self.node.nvs, print)
        return (nvs.get("key", 36) or b"").decode()


def blank():
    return Chip(Node())


def provisioned():
    return Chip(Node(nvs=kept()).made(files()))


def asleep():
    chip = Chip(Node(nvs=kept()).made(files()), DEEP_SLEEP)
    chip.node.flash.erases = chip.node.flash.programs = 0
    return chip


def spoilt():
    node = Node(nvs=kept()).made(files())
    node.flash.data[: 2 * BLOCK_BYTES] = bytes(2 * BLOCK_BYTES)
    return Chip(node)


def no_partition():
    chip = Chip(Node(nvs=kept()))
    chip.partitions = {}
    return chip


def no_nvs():
    chip = Chip(Node().made(files()))
    chip.nvs = False
    return chip


def failing():
    """Something that nobody has thought of goes wrong on the way."""
    chip = Chip(Node(nvs=kept()).made(files()))
    chip.node.flash.ioctl = None
    return chip


if __name__ == "__main__":
    with open(sys.argv[1]) as file:
        source = file.read()
    chip = globals()[sys.argv[2]]()
    boot_bench.FOLDER = "/"
    found = chip.run(source)
    found["copied"] = chip.rotate(OTHER) if chip.nvs and found["key"] else ""
    assert found["key"] in {"", KEY.decode()}
    print(json.dumps(found))
