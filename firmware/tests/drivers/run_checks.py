"""Runs every check_* function of the modules that are named, on either interpreter."""

import asyncio
import sys


def run(module):
    for name in sorted(dir(module)):
        if name.startswith("check_"):
            done = getattr(module, name)()
            if hasattr(done, "send"):
                asyncio.run(done)
            print(module.__name__, name)


for given in sys.argv[1:]:
    run(__import__(given))
