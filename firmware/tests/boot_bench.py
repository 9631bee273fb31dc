"""A chip's flash and NVS in memory, which lose their power on demand; for MicroPython."""

import os
import struct
from binascii import crc32

import vfs

from copies import Copies
from keepsakes import Keepsakes
from lilong_firmware.virtual.nor import Nor, PowerCutError
from storage import Storage

FOLDER = "/node/"
BLOCKS = 96
BLOCK_BYTES = 512
KEY = b"0123456789abcdef"
PUBLIC = bytes(range(32))
SETTINGS = b'{"version": 3, "eui": "0011223344556677"}'
NOT_FOUND = -0x1102
TOO_LONG = -0x110C
REFUSED = -0x1105


class PowerOffError(BaseException):
    """The power is gone: nothing of the node's own may catch it."""


class Flash(Nor):
    """The partition of the file system; a dead one reads, and takes nothing."""

    def __init__(self, data=None):
        super().__init__(BLOCKS, BLOCK_BYTES, strict=False)
        self.dead = False
        if data is not None:
            self.data[:] = data

    def writeblocks(self, block, data, offset=0):
        if self.dead:
            raise OSError(5)
        try:
            super().writeblocks(block, data, offset)
        except PowerCutError:
            raise PowerOffError

    def ioctl(self, request, argument):
        if self.dead and request == 6:
            raise OSError(5)
        try:
            return super().ioctl(request, argument)
        except PowerCutError:
            raise PowerOffError


class Nvs:
    """esp32.NVS: every set is done or not, whenever the power goes."""

    def __init__(self, values=None):
        self.values = dict(values or {})
        self.dead = False
        self.writes = 0
        self.left = None
        self.after = False

    def get_i32(self, key):
        return self._get(key)

    def get_blob(self, key, buffer):
        value = self._get(key)
        if len(value) > len(buffer):
            raise OSError(TOO_LONG)
        buffer[: len(value)] = value
        return len(value)

    def set_i32(self, key, value):
        self._set(key, value)

    def set_blob(self, key, value):
        self._set(key, bytes(value))

    def erase_key(self, key):
        self._get(key)
        del self.values[key]

    def commit(self):
        pass

    def _get(self, key):
        assert len(key) <= 15
        if key not in self.values:
            raise OSError(NOT_FOUND)
        return self.values[key]

    def _set(self, key, value):
        assert len(key) <= 15
        if self.dead:
            raise OSError(REFUSED)
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                if self.after:
                    self.values[key] = value
                raise PowerOffError
        self.writes += 1
        self.values[key] = value


class Node:
    """Flash and NVS, and the boots that they see."""

    def __init__(self, flash=None, nvs=None):
        self.flash = Flash(flash)
        self.nvs = Nvs(nvs)
        self.said = []
        self.mounted = False

    def boot(self, *, hung=False, quick=False):
        """Whether there are files; they stay mounted."""
        self.off()
        kept = Keepsakes(Copies(self.nvs, self.said.append), FOLDER, self.said.append)
        return Storage(self.flash, vfs, kept, FOLDER, self.said.append).open(
            hung=hung, quick=quick
        )

    def boots(self, **how):
        """How many boots it took until there were files."""
        for count in range(1, 9):
            if self.boot(**how):
                return count
        return -1

    def off(self):
        try:
            vfs.umount(FOLDER[:-1])
        except OSError:
            pass

    def made(self, files):
        """Give it a file system with these files."""
        self.off()
        vfs.VfsLfs2.mkfs(self.flash)
        vfs.mount(vfs.VfsLfs2(self.flash), FOLDER[:-1])
        for name, data in files.items():
            write(name, data)
        self.off()
        return self


def write(name, data):
    if "/" in name:
        try:
            os.mkdir(FOLDER + name.split("/")[0])
        except OSError:
            pass
    with open(FOLDER + name, "wb") as file:
        file.write(data)


def read(name):
    try:
        with open(FOLDER + name, "rb") as file:
            return file.read()
    except OSError:
        return None


def blob(data):
    return data + struct.pack("<I", crc32(data))


def kept(**more):
    """NVS of a node that was provisioned."""
    values = {
        "key": blob(KEY),
        "update_pub": blob(PUBLIC),
        "settings": blob(SETTINGS),
        "floor": blob(struct.pack("<II", 41, 17)),
    }
    values.update(more)
    return {name: value for name, value in values.items() if value is not None}


def boot_bin(highest, base=0):
    body = struct.pack("<4s5B6I16s", b"LLB1", 0, 255, 0, 0, 0, highest, base, 0, 0, 0, 0, b"")
    return body + struct.pack("<I", crc32(body))


def files(**more):
    """Files of such a node."""
    names = {
        "key.bin": KEY,
        "update.pub": PUBLIC,
        "settings.json": SETTINGS,
        "boot.bin": boot_bin(41, 17),
    }
    for name, data in more.items():
        names[name.replace("__", "/").replace("_", ".")] = data
    return {name: data for name, data in names.items() if data is not None}
