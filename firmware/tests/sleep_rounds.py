"""Runs on MicroPython: rounds and a state go into the retained memory and come back."""

from lilong_firmware.sleep.retained import LOG_BYTES, Retained
from lilong_firmware.sleep.rounds import add_round, read_rounds
from lilong_firmware.sleep.state import State
from lilong_firmware.virtual.cut_memory import CutMemory

memory = CutMemory()
state = State(0xFFFFFFFE, 0x80000001, 60000)
state.uptime_ms = 5000000000000
state.rate_ppm = -250000
state.told_ms = 848708746040
taken = []
uptime_ms = 1099511627776
while True:
    readings = [(0, (uptime_ms * 7919) % 65536 - 32768), (199, uptime_ms << 20)]
    if not add_round(state, uptime_ms, readings, LOG_BYTES):
        break
    taken.append((uptime_ms, readings))
    Retained(memory).save(state)
    state = Retained(memory).state
    uptime_ms += 60000 + uptime_ms % 23
same = (state.boot_id, state.source, state.uptime_ms) == (0xFFFFFFFE, 0x80000001, 5000000000000)
same = same and (state.rate_ppm, state.told_ms) == (-250000, 848708746040)
print(same and list(read_rounds(state)) == taken and len(taken) > 50, LOG_BYTES)
