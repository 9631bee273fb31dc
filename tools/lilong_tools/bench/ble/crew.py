"""The nodes of a round: they fill their journals, raise alarms, and are compared at the end."""

import random
import secrets
from pathlib import Path

from lilong_tools.bench.ble.account import Account
from lilong_tools.bench.ble.player import Player, ready
from lilong_tools.bench.ble.script import BACKLOG, Script, alarming
from lilong_tools.bench.ble.watch import ALARMS, Watch, now_ms
from lilong_tools.demo.trace import BatchKey
from lilong_tools.radio.air import Air

AHEAD_S = 7.0
"""So long after `announce` an alarm may come."""

_AT_ONCE = 4
"""Nodes that are starting at the same time."""
_START_S = 30.0
_SPREAD_S = (5.0, 0.6)
"""Over how long the alarms are spread, and over how much longer for each node."""
_KEY_BYTES = 16


class Crew:
    """Nodes without power; `alarms` of them, at random, raise one alarm each."""

    def __init__(self, folder: Path, nodes: int, alarms: int, air: Air, micropython: Path) -> None:
        self.keys: dict[str, bytes] = {}
        self.players: list[Player] = []
        self.alarming: list[Player] = []
        self._alarms = alarms
        self._chance = random.Random(1)  # noqa: S311 - data, not a secret
        for number in range(nodes):
            key, settings = secrets.token_bytes(_KEY_BYTES), alarming(number)
            player = Player(folder / f"node-{number}", settings, key, air, micropython)
            self.players.append(player)
            self.keys[player.eui] = key
        self._scripts = [Script(player.recording, self._chance) for player in self.players]

    async def fill(self) -> None:
        """Start the nodes one after the other, and wait until the journals hold the backlog."""
        for number, player in enumerate(self.players, 1):
            await player.start()
            early = self.players[: max(0, number - _AT_ONCE)][-1:]
            await ready(early, lambda one: bool(one.trace.boots), _START_S)
        await ready(self.players, lambda one: one.trace.journalled >= BACKLOG, _START_S)

    def announce(self) -> None:
        """Choose who raises an alarm, and when."""
        spread_s = _SPREAD_S[0] + _SPREAD_S[1] * len(self.players)
        for number in self._chance.sample(range(len(self.players)), self._alarms):
            player = self.players[number]
            self.alarming.append(player)
            lived_s = (now_ms() - (player.trace.first_ms or 0)) / 1000
            at_s = lived_s + AHEAD_S + self._chance.uniform(0.0, spread_s)
            self._scripts[number].raise_alarm(at_s)

    def backlog(self) -> set[tuple[str, BatchKey]]:
        """Return all that is in the journals by now."""
        self._read()
        return {(player.eui, key) for player in self.players for key in player.trace.batches}

    def has_told(self, watch: Watch) -> bool:
        """Whether each alarm was raised and is on the gateway's disk."""
        for player in self.alarming:
            player.read()
        stored = {batch.eui for batch in watch.batches if batch.stream == ALARMS}
        return all(one.trace.alarm_ms and one.eui in stored for one in self.alarming)

    def alarms_in(self, from_ms: int, to_ms: int) -> list[tuple[str, int]]:
        """Return node and UNIX time of each alarm that was sampled in that time."""
        times = [(player.eui, player.trace.alarm_ms or 0) for player in self.alarming]
        return [(eui, at_ms) for eui, at_ms in times if from_ms <= at_ms <= to_ms]

    def settle(self, watch: Watch) -> Account:
        """Compare all traces with what the gateway has by now."""
        account = Account()
        self._read()
        watch.look()
        for player in self.players:
            account.add(player.trace, [one for one in watch.batches if one.eui == player.eui])
        return account

    async def close(self) -> None:
        """Cut the power of all."""
        for player in self.players:
            await player.close()

    def _read(self) -> None:
        for player in self.players:
            player.read()
