"""How far each node has come with its keys, in words for a person."""

from collections.abc import Mapping
from dataclasses import dataclass

from lilong_gateway.clock import UNIX_2000_MS
from lilong_gateway.keys import KeyRing, key_id
from lilong_gateway.store.records import Heard

ONE = "one key"
ROTATING = "rotating: still on the old key"
ROTATED = "rotated: the old key can go"
REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class KeyState:
    """One node. heard tells whether the store knows it, heard_unix_ms when a batch came last."""

    eui: str
    state: str
    heard: bool
    heard_unix_ms: int | None
    reason: str = ""


def key_states(keys: KeyRing, heard: Mapping[bytes, Heard]) -> list[KeyState]:
    """Return the state of each node of the key file, and of each that is revoked."""
    euis = [*keys.euis, *(eui for eui in keys.revoked if not keys.held(eui))]
    return [_state(keys, eui, heard.get(eui)) for eui in euis]


def is_rotated(keys: KeyRing, eui: bytes, heard: Heard | None) -> bool:
    """Whether a node with two keys is on its newest one for good."""
    held = keys.held(eui)
    return len(held) > 1 and heard is not None and heard.proven == key_id(held[-1])


def _state(keys: KeyRing, eui: bytes, heard: Heard | None) -> KeyState:
    since_ms = None if heard is None or heard.heard_ms is None else heard.heard_ms + UNIX_2000_MS
    reason = keys.revoked.get(eui, "")
    return KeyState(eui.hex(), _word(keys, eui, heard), heard is not None, since_ms, reason)


def _word(keys: KeyRing, eui: bytes, heard: Heard | None) -> str:
    if eui in keys.revoked:
        return REVOKED
    if len(keys.held(eui)) == 1:
        return ONE
    return ROTATED if is_rotated(keys, eui, heard) else ROTATING
