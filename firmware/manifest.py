# ruff: noqa: F821 - include, require, package and module are words of MicroPython's manifests
"""What is frozen into the image of an ESP32, in the place of the port's own manifest."""

import os

_VIRTUAL = "virtual"
"""The folder of what stands in for a chip."""

_OTHER_INTERPRETERS = ("aead_cryptography.py", "rice_windows.py", "sums_itertools.py")


def _files(package_path: str) -> "list[str]":
    """Give the package's files, relative to it, without those that no chip runs."""
    found = []
    for folder, folders, names in os.walk(package_path):
        folders[:] = sorted(set(folders) - {_VIRTUAL, "__pycache__"})
        within = os.path.relpath(folder, package_path)
        found += [
            os.path.normpath(os.path.join(within, name))
            for name in sorted(names)
            if name.endswith(".py") and name not in _OTHER_INTERPRETERS
        ]
    return found


include("$(MPY_DIR)/extmod/asyncio")
require("onewire")
package("lilong_protocol", _files("../protocol/lilong_protocol"), base_path="../protocol", opt=3)
package("lilong_firmware", _files("lilong_firmware"), opt=3)
for name in (
    "_boot.py",
    "boot.py",
    "bootstate.py",
    "copies.py",
    "keepsakes.py",
    "loader.py",
    "main.py",
    "ramdisk.py",
    "storage.py",
):
    module(name, opt=3)
