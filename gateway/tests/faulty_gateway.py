"""A gateway whose store does what a test wants: faulty_gateway.py CONFIG FAULT MARK.

FAULT is at the first commit: "duty" it never ends, "loop" nor does anything else, "thread" the
store's thread hangs, "slow" it takes a while. The file MARK tells that it has come to that; while
it is there nothing is wrong, so that the next process is well.
"""

import asyncio
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from lilong_gateway.app import Gateway
from lilong_gateway.clock import Clock
from lilong_gateway.config import load_config
from lilong_gateway.health.notify import Notifier
from lilong_gateway.key_file import load_keys
from lilong_gateway.logs import start_logging
from lilong_gateway.store.records import Committed, Entry
from lilong_gateway.store.store import Store

LONG_S = 3600.0
SLOW_S = 1.0


class FaultyStore(Store):
    """Faulty until the mark is there."""

    def fail(self, fault: str, mark: Path) -> None:
        self.fault = "" if mark.exists() else fault
        self.mark = mark

    async def commit(self, entries: Sequence[Entry]) -> Committed:
        if self.fault:
            self.mark.touch()
        match self.fault:
            case "duty":
                await asyncio.sleep(LONG_S)
            case "loop":
                time.sleep(LONG_S)
            case "thread":
                await asyncio.get_running_loop().run_in_executor(self._thread, time.sleep, LONG_S)
            case "slow":
                await asyncio.sleep(SLOW_S)
        return await super().commit(entries)


async def main(file: Path, fault: str, mark: Path) -> None:
    config = load_config(file)
    start_logging(config.log_level, config.log_format)
    store = FaultyStore(config.data)
    store.fail(fault, mark)
    notifier = Notifier.from_environment(os.environ)
    keys = load_keys(config.keys)
    await Gateway(config, keys, Clock(), store=store, notifier=notifier).run()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])))
