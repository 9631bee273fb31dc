"""Prints every reading of a replay, on whichever interpreter runs it.

Standard input: settings of the replay and of its channels as one JSON text.
"""

import json
import sys

from lilong_firmware.fields import Fields
from lilong_firmware.sensors.replay import Replay
from lilong_firmware.settings import ChannelSetting, ReplaySetting


def print_rows(text: str) -> None:
    """Play all rows, an hour of uptime at a time."""
    given = json.loads(text)
    channels = [ChannelSetting(Fields(channel), 1000) for channel in given["channels"]]
    replay = Replay(ReplaySetting(Fields(given["sensor"]), channels), channels, (0, 0, 0), print)
    uptime_ms = 0
    while not replay.ended:
        for row in replay.rows(uptime_ms):
            for channel, value in row.readings:
                sys.stdout.write("%d %d %d\n" % (channel, row.time, value))
        uptime_ms += replay.wait_ms(uptime_ms)


print_rows(sys.stdin.readline())
