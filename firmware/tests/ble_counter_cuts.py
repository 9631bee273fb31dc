"""Cuts the power in every flash operation under the numbers of advertisements, on a real LittleFS.

usage: ble_counter_cuts.py; prints one JSON object. For MicroPython, whose LittleFS it uses.
"""

import json
import os

from lilong_firmware.ble.counter import Counter
from lilong_firmware.virtual.nor import WAYS, Nor, PowerCutError

PATH = "/node/advert.txt"
BOOTS = 12
NUMBERS = 1500


def mounted(flash, count, used):
    """Take numbers as a boot does on this flash; `used` gets each as soon as it is known."""
    os.mount(os.VfsLfs2(flash), "/node")
    try:
        counter = Counter(PATH, bytes)
        for _ in range(count):
            used.append(counter.take(None))
    finally:
        os.umount("/node")


def copy(data, cut=None, way="", seed=1):
    flash = Nor(32, 512, strict=False)
    flash.data[:] = data
    flash.cut_after(cut, way, seed)
    return flash


def main():
    flash = Nor(32, 512, strict=False)
    os.VfsLfs2.mkfs(flash)
    data, last, tried, problems = bytes(flash.data), -1, 0, []
    for _ in range(BOOTS):
        flash = copy(data)
        mounted(flash, 0, [])
        begun = flash.operations
        used = []
        mounted(flash, NUMBERS, used)
        for cut in range(flash.operations - begun):
            for way in WAYS:
                tried += 1
                damaged, before = copy(data, cut, way, tried), []
                try:
                    mounted(damaged, NUMBERS, before)
                except PowerCutError:
                    damaged.cut_after(None)
                after = []
                mounted(copy(damaged.data), NUMBERS, after)
                if None in after or min(after) <= max(before + [last]):
                    problems.append((cut, way))
        data, last = bytes(flash.data), max(used)
    print(json.dumps({"tried": tried, "problems": problems[:5]}))


main()
