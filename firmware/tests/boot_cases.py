"""What storage makes of a flash, case by case: `boot_cases.py CASE` prints one JSON object."""

import json
import os
import struct
import sys
from binascii import crc32

import vfs
from boot_bench import (
    BLOCK_BYTES,
    BLOCKS,
    FOLDER,
    KEY,
    PUBLIC,
    Node,
    blob,
    boot_bin,
    files,
    kept,
    read,
    write,
)
from boot_cuts import Sweep

from bootstate import BootState
from copies import Copies
from keepsakes import Keepsakes
from lilong_firmware.virtual.nor import Chance

OTHER = b"another key 1234"


def told(node, boots):
    """What a test looks at."""
    state = BootState(FOLDER + "boot.bin")
    try:
        write("goes.on", b"1" * 700)
        usable = read("goes.on") == b"1" * 700
        os.remove(FOLDER + "goes.on")
    except OSError:
        usable = False
    lost = read("reformat.txt")
    return {
        "boots": boots,
        "key": (read("key.bin") or b"").decode(),
        "public": read("update.pub") == PUBLIC,
        "settings": (read("settings.json") or b"").decode(),
        "highest": state.highest,
        "base": state.sequences[0],
        "usable": usable,
        "lost": None if lost is None else lost.decode(),
        "failures": node.nvs.values.get("failures", 0),
        "nvs_key": node.nvs.values.get("key", b"")[:-4].decode(),
        "nvs_settings": node.nvs.values.get("settings", b"")[:-4].decode(),
        "writes": node.nvs.writes,
        "said": node.said,
    }


def fresh():
    node = Node()
    return told(node, node.boots())


def provisioned_over_nvs():
    node = Node(nvs=kept())
    return told(node, node.boots())


def good():
    node = Node(nvs=kept()).made(files())
    return told(node, node.boots())


def superblocks():
    node = Node(nvs=kept()).made(files())
    node.flash.data[: 2 * BLOCK_BYTES] = b"\x5a" * (2 * BLOCK_BYTES)
    return told(node, node.boots())


def glitch():
    """It cannot be read in one boot, and can in the next."""
    node = Node(nvs=kept()).made(files())
    data = bytes(node.flash.data)
    node.flash.data[: 2 * BLOCK_BYTES] = bytes(2 * BLOCK_BYTES)
    first = node.boot()
    node.flash.data[:] = data
    return dict(told(node, node.boots()), first=first)


def fat():
    class Erasing:
        """As a partition with blocks of 512 bytes is to FAT."""

        def __init__(self, flash):
            self._flash = flash

        def readblocks(self, block, buffer):
            for index in range(len(buffer) // BLOCK_BYTES):
                part = memoryview(buffer)[index * BLOCK_BYTES : (index + 1) * BLOCK_BYTES]
                self._flash.readblocks(block + index, part)

        def writeblocks(self, block, data):
            for index in range(len(data) // BLOCK_BYTES):
                self._flash.ioctl(6, block + index)
                part = data[index * BLOCK_BYTES : (index + 1) * BLOCK_BYTES]
                self._flash.writeblocks(block + index, part)

        def ioctl(self, request, argument):
            return self._flash.ioctl(request, argument)

    node = Node()
    vfs.VfsFat.mkfs(Erasing(node.flash))
    return told(node, node.boots())


def half_erased():
    """Whatever blocks are erased or spoilt, the node comes back with its key."""
    seeds = 150
    problems = []
    most = 0
    made = 0
    for seed in range(seeds):
        chance = Chance(seed + 1)
        node = Node(nvs=kept()).made(files(inbox__1=b"x" * 3000, a_py=b"y" * 2000))
        for block in range(BLOCKS):
            if chance.below(3) == 0:
                new = chance.bytes(BLOCK_BYTES) if seed % 2 else b"\xff" * BLOCK_BYTES
                node.flash.data[block * BLOCK_BYTES : (block + 1) * BLOCK_BYTES] = new
        found = told(node, node.boots())
        most = max(most, found["boots"])
        made += found["lost"] is not None
        if found["boots"] < 0 or found["key"] != KEY.decode() or not found["usable"]:
            problems.append([seed, found])
    return {"problems": problems[:2], "most": most, "made": made, "seeds": seeds}


def full():
    node = Node(nvs=kept()).made(files(inbox__1=b"x" * 4000, inbox__2=b"x" * 900, key_bin=None))
    fill(node)
    return told(node, node.boots())


def full_for_good():
    """Full of what nobody may drop, and the key is missing: a node without a key is nothing."""
    node = Node(nvs=kept()).made(files(key_bin=None))
    fill(node)
    return told(node, node.boots())


def fill(node):
    """Until not even the smallest file can be made."""
    vfs.mount(vfs.VfsLfs2(node.flash), FOLDER[:-1])
    size = BLOCK_BYTES * 8
    count = 0
    while size:
        count += 1
        try:
            write("fill%03d" % count, b"x" * size)
        except OSError:
            size //= 2
    node.off()


def key_missing():
    node = Node(nvs=kept()).made(files(key_bin=None))
    return told(node, node.boots())


def key_torn():
    node = Node(nvs=kept()).made(files(key_bin=KEY[:7]))
    return told(node, node.boots())


def public_missing():
    node = Node(nvs=kept()).made(files(update_pub=None))
    return told(node, node.boots())


def rotating():
    pair = KEY + OTHER
    both = pair + struct.pack("<I", crc32(pair))
    node = Node(nvs=kept()).made(files(key_bin=both))
    node.boots()
    os.remove(FOLDER + "key.bin")
    node.boots()
    return {"back": read("key.bin") == both, "said": node.said}


def torn_pair():
    node = Node(nvs=kept()).made(files(key_bin=KEY + OTHER + b"\x00\x00\x00\x00"))
    return told(node, node.boots())


def rotated():
    node = Node(nvs=kept()).made(files(key_bin=OTHER))
    return told(node, node.boots())


def nvs_empty():
    node = Node().made(files())
    return told(node, node.boots())


def nvs_corrupt():
    spoilt = {"key": blob(OTHER)[:-1] + b"\x00", "settings": b"\x00", "floor": blob(b"123")}
    node = Node(nvs=kept(**spoilt)).made(files())
    return told(node, node.boots())


def lost_in_both():
    """A copy that does not fit its check sum is no key, however long it is."""
    node = Node(nvs=kept(key=blob(OTHER)[:-1] + b"\x00")).made(files(key_bin=None))
    return told(node, node.boots())


def nvs_dead():
    node = Node().made(files())
    node.nvs.dead = True
    return told(node, node.boots())


def only_key_in_dead_flash():
    node = Node().made(files())
    node.nvs.dead = node.flash.dead = True
    return told(node, node.boots())


def dead_flash():
    node = Node(nvs=kept()).made(files())
    node.flash.data[: 2 * BLOCK_BYTES] = bytes(2 * BLOCK_BYTES)
    node.flash.dead = True
    return told(node, node.boots())


def read_only_flash():
    """Files can be read, and nothing be written: another file system would not help either."""
    node = Node(nvs=kept()).made(files())
    node.flash.dead = True
    return told(node, node.boots())


def hangs():
    """Three boots in a row end by the watchdog; a mount that hangs is no longer tried."""
    node = Node(nvs=kept(failures=2)).made(files())
    return told(node, node.boots(hung=True))


def hung_application():
    """The watchdog ended the application, time and again: that says nothing of the files."""
    node = Node(nvs=kept()).made(files(keep_me=b"1"))
    for _ in range(9):
        node.boots(hung=True)
    return dict(told(node, 1), file=read("keep.me") is not None)


def stuck_count():
    """NVS holds a count that can no longer be changed: that is no reason to lose files."""
    node = Node(nvs=kept(failures=7)).made(files(keep_me=b"1"))
    node.nvs.dead = True
    return dict(told(node, node.boots(hung=True)), file=read("keep.me") is not None)


def woken():
    node = Node(nvs=kept()).made(files())
    before = node.flash.operations
    boots = node.boots(quick=True)
    return {"boots": boots, "operations": node.flash.operations - before, "nvs": node.nvs.writes}


def woken_without_key():
    node = Node(nvs=kept()).made(files(key_bin=None))
    return told(node, node.boots(quick=True))


def floor_lost():
    node = Node(nvs=kept()).made(files(boot_bin=None))
    return told(node, node.boots())


def floor_newer():
    node = Node(nvs=kept()).made(files(boot_bin=boot_bin(55, 20)))
    node.boots()
    return {"floor": list(struct.unpack("<II", node.nvs.values["floor"][:-4]))}


def settings_on_trial():
    node = Node(nvs=kept()).made(
        files(settings_json=b'{"version": 4}', settings_state=b"1 0 00ff")
    )
    return told(node, node.boots())


def settings_kept():
    node = Node(nvs=kept()).made(
        files(settings_json=b'{"version": 4}', settings_state=b"2 0 00ff")
    )
    return told(node, node.boots())


def settings_unusable():
    node = Node(nvs=kept()).made(files(settings_json=b'{"version": '))
    return told(node, node.boots())


def settings_long():
    node = Node(nvs=kept()).made(files(settings_json=b'{"version": "' + b"4" * 5000 + b'"}'))
    return dict(told(node, node.boots()), settings=len(read("settings.json")))


def forgotten():
    node = Node(nvs=kept(failures=1, lost=blob(b"x")))
    Keepsakes(Copies(node.nvs, print), FOLDER, print).forget()
    return {"left": sorted(node.nvs.values)}


def cuts():
    """The power goes in each operation on flash and on NVS, in every way; then it is back."""
    return Sweep().run()


if __name__ == "__main__":
    print(json.dumps(globals()[sys.argv[1]]()))
