"""Sealed advertisements: which of them are to be believed. No radio in here, and no clock."""

from dataclasses import dataclass

from lilong_gateway.grounds import OLD_KEY, REVOKED, UNKNOWN
from lilong_gateway.keys import KeyRing, key_id
from lilong_gateway.proofs import Proofs
from lilong_gateway.roster import Roster
from lilong_gateway.store.records import AdvertCounter, AdvertCounters, Believed
from lilong_protocol.advert import Told
from lilong_protocol.advert_reader import AdvertOpener, read_advert
from lilong_protocol.errors import AuthenticationError

WRONG_KEY = "wrong key"
OLD_ADVERT = "an old advertisement"
_SAVE_MS = 60_000
_OLD_AFTER_MS = 60_000
"""Another adapter may tell late of what is old by now; a node of which nothing else is heard for
so long has lost its counter, or somebody plays a recording of it."""

_EUI = slice(1, 9)


@dataclass(frozen=True, slots=True)
class Heard:
    """A believed advertisement of a node; fresh unless it is the one that was heard before.

    key is the id of the key that it came under.
    """

    eui: bytes
    key: bytes
    counter: int
    told: Told
    fresh: bool


@dataclass(slots=True)
class Counters:
    """Since the start of the process. heard counts all, every other one a part of them.

    refused: of revoked nodes, or under an old key. held: not judged before recall().
    """

    heard: int = 0
    repeated: int = 0
    strangers: int = 0
    refused: int = 0
    unauthentic: int = 0
    replayed: int = 0
    malformed: int = 0
    held: int = 0


class _Voice:
    """What one node said last, and what opens it: its keys, the newest first."""

    __slots__ = (
        "believed",
        "believed_ms",
        "keys",
        "newest",
        "openers",
        "settled",
        "spurned",
        "unchanged",
    )

    def __init__(self, keys: tuple[bytes, ...], now_ms: int) -> None:
        self.keys = keys
        self.openers = [(key, key_id(key), AdvertOpener(key)) for key in reversed(keys)]
        self.newest = self.openers[0][1]
        self.believed = b""
        self.believed_ms = now_ms
        self.unchanged: Heard | None = None
        self.settled = False
        self.spurned = b""
        """The last one that no key opened."""

    def is_settled(self, keys: tuple[bytes, ...]) -> bool:
        """Whether the believed one came under the newest key: it will never be an old one."""
        return self.settled and self.keys == keys

    def open(self, data: bytes) -> tuple[bytes, bytes, Told] | None:
        """Return the key, its id and what it tells; None if no key opens it."""
        for at, (key, name, opener) in enumerate(self.openers):
            try:
                told = opener.open(data)
            except AuthenticationError:
                continue
            self.openers.insert(0, self.openers.pop(at))
            return key, name, told
        self.spurned = data
        return None


class Judge:
    """Judges advertisements; memory is bounded by the nodes that have a key, whatever is said.

    Nothing is believed before recall(): an old alarm that was recorded must not pass for a new
    one after a restart.
    """

    def __init__(self, keys: KeyRing, proofs: Proofs, roster: Roster) -> None:
        self.counters = Counters()
        self._keys = keys
        self._proofs = proofs
        self._roster = roster
        self._voices: dict[bytes, _Voice] = {}
        self._highest: dict[tuple[bytes, bytes], int] = {}
        self._unsaved: set[tuple[bytes, bytes]] = set()
        self._saved_ms: int | None = None
        self._held: dict[tuple[bytes, bytes], tuple[int, bytes, str]] = {}
        self._recalled = False

    def hear(self, data: bytes, adapter: str, now_ms: int) -> Heard | None:
        """Take the 24 bytes after the company identifier; None: they are not to be believed."""
        self.counters.heard += 1
        eui = data[_EUI]
        voice = self._voices.get(eui)
        if voice is not None and data == voice.believed and voice.is_settled(self._keys(eui)):
            self.counters.repeated += 1
            voice.believed_ms = now_ms
            return voice.unchanged
        return self._judge(data, adapter, now_ms)

    def recall(self, believed: Believed, now_ms: int) -> list[Heard]:
        """Take over what the store knows; return what was held back and is to be believed."""
        for eui, key in believed.proven:
            self._proofs.recall(eui, key)
        for one in believed.counters:
            name = one.eui, one.key
            self._highest[name] = max(one.counter, self._highest.get(name, one.counter))
        self._recalled = True
        held, self._held = self._held, {}
        found = [self._judge(data, adapter, now_ms) for _, data, adapter in held.values()]
        self._voices.clear()  # What was held is new to those who hear the next repetition.
        return [heard for heard in found if heard is not None]

    def unsaved(self, now_ms: int) -> AdvertCounters | None:
        """Return the counters that the store does not know, at most once a minute; or None."""
        early = self._saved_ms is not None and now_ms - self._saved_ms < _SAVE_MS
        if early or not self._unsaved:
            return None
        self._saved_ms = now_ms
        names = sorted(self._unsaved)
        return AdvertCounters(tuple(AdvertCounter(*name, self._highest[name]) for name in names))

    def saved(self, entry: AdvertCounters) -> None:
        """Note what is on disk."""
        for one in entry.counters:
            name = one.eui, one.key
            if self._highest.get(name) == one.counter:
                self._unsaved.discard(name)

    def _judge(self, data: bytes, adapter: str, now_ms: int) -> Heard | None:
        read = read_advert(data)
        if read is None:
            self.counters.malformed += 1
            return None
        eui, counter = read
        opened = self._open(eui, data, adapter, now_ms)
        if opened is None:
            return None
        voice, name, told = opened
        if not self._recalled:
            self._hold((eui, name), (counter, data, adapter))
            return None
        heard = Heard(eui, name, counter, told, fresh=True)
        if self._is_old(heard, data, voice):
            self.counters.replayed += 1
            if now_ms - voice.believed_ms >= _OLD_AFTER_MS:
                self._roster.refuse(eui, adapter, OLD_ADVERT, now_ms)
            return None
        return self._believe(heard, data, voice, now_ms)

    def _open(
        self, eui: bytes, data: bytes, adapter: str, now_ms: int
    ) -> tuple[_Voice, bytes, Told] | None:
        """Return the node's voice, the id of the key and what is told, or count why not."""
        keys = self._keys(eui)
        if not keys:
            self._turn_away(eui, adapter, now_ms)
            return None
        voice = self._voices.get(eui)
        if voice is None or voice.keys != keys:
            voice = self._voices[eui] = _Voice(keys, now_ms)
        opened = None if data == voice.spurned else voice.open(data)
        if opened is None:
            self.counters.unauthentic += 1
            self._roster.refuse(eui, adapter, WRONG_KEY, now_ms)
            return None
        key, name, told = opened
        if self._proofs.is_old(eui, key):
            self.counters.refused += 1
            self._roster.refuse(eui, adapter, OLD_KEY, now_ms)
            return None
        return voice, name, told

    def _turn_away(self, eui: bytes, adapter: str, now_ms: int) -> None:
        self._voices.pop(eui, None)
        if eui in self._keys.revoked:
            self.counters.refused += 1
            self._roster.refuse(eui, adapter, REVOKED, now_ms)
        else:
            self.counters.strangers += 1
            self._roster.refuse(eui, adapter, UNKNOWN, now_ms)

    def _hold(self, name: tuple[bytes, bytes], held: tuple[int, bytes, str]) -> None:
        """Keep the latest of each node until the store has been asked."""
        self.counters.held += 1
        if name not in self._held or self._held[name][0] < held[0]:
            self._held[name] = held

    def _is_old(self, heard: Heard, data: bytes, voice: _Voice) -> bool:
        """Whether it is neither above the highest of its key nor the very one believed last."""
        highest = self._highest.get((heard.eui, heard.key), -1)
        if heard.counter != highest:
            return heard.counter < highest
        return voice.unchanged is not None and data != voice.believed

    def _believe(self, heard: Heard, data: bytes, voice: _Voice, now_ms: int) -> Heard:
        name = heard.eui, heard.key
        known = self._highest.get(name) == heard.counter
        voice.believed_ms = now_ms
        if known and voice.unchanged is not None:
            self.counters.repeated += 1
            return voice.unchanged
        voice.believed = data
        voice.unchanged = Heard(*name, heard.counter, heard.told, fresh=False)
        voice.settled = heard.key == voice.newest
        if not known:
            self._highest[name] = heard.counter
            self._unsaved.add(name)
        return heard
