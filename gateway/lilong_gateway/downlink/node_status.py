"""What a node says of itself: the payload of STATUS."""

from dataclasses import dataclass

from lilong_protocol import cbor
from lilong_protocol.errors import DecodeError
from lilong_protocol.fields import ranged, text
from lilong_protocol.manifest import CLASS_LIMIT, MAX_SEQUENCE

HASH_BYTES = 8

NO_UPDATE = 0
TRYING = 1
CONFIRMED = 2
"""Results of the last update; whatever is higher is a failure."""

REVERTED = 3
"""State of the configuration: with the one that came last the node found no gateway."""

_RESULTS = {
    NO_UPDATE: "none",
    TRYING: "on trial",
    CONFIRMED: "confirmed",
    3: "rolled back: no gateway heard it",
    4: "rolled back: it did not start",
}
_SLOTS = ("base", "a", "b")
_FIELDS = 9
_LARGEST = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """Which software and which configuration a node runs, and what became of what was pushed."""

    configuration: int
    configuration_hash: bytes
    device_class: str
    slot: int
    sequence: int
    trial: bool
    result: int
    result_sequence: int
    recovery: bool
    configuration_state: int = 0

    @property
    def is_trying(self) -> bool:
        """Whether an update is on trial, or waits for its trial: another one would be refused."""
        return self.trial or self.result == TRYING

    @property
    def reached(self) -> int:
        """The highest sequence that is known to run for good."""
        confirmed = self.result_sequence if self.result == CONFIRMED else 0
        return max(confirmed, 0 if self.trial else self.sequence)

    @property
    def result_words(self) -> str:
        """What became of the last update, for a person."""
        return _RESULTS.get(self.result, f"failed, result {self.result}")

    def has_failed(self, sequence: int) -> bool:
        """Whether the update of this sequence was the last one and did not stay."""
        return self.result > CONFIRMED and self.result_sequence == sequence

    def as_dict(self) -> dict[str, object]:
        """Give everything for JSON."""
        return {
            "class": self.device_class,
            "slot": _SLOTS[self.slot] if self.slot < len(_SLOTS) else str(self.slot),
            "sequence": self.sequence,
            "trial": self.trial,
            "recovery": self.recovery,
            "result": self.result_words,
            "result_sequence": self.result_sequence,
            "configuration": self.configuration,
            "configuration_hash": self.configuration_hash.hex(),
        }


def parse_status(payload: bytes) -> NodeStatus:
    """Return what a node said; DecodeError. Fields of later versions are ignored."""
    fields = cbor.decode_sequence(payload)
    if len(fields) < _FIELDS:
        raise DecodeError("a STATUS with too few fields")
    version, digest, device_class, slot, sequence, trial, result, of_sequence, recovery = fields[
        :_FIELDS
    ]
    if not isinstance(digest, bytes) or len(digest) != HASH_BYTES:
        raise DecodeError("a STATUS without the hash of the configuration")
    if not isinstance(trial, bool) or not isinstance(recovery, bool):
        raise DecodeError("a STATUS without a truth value where one belongs")
    state = fields[_FIELDS] if len(fields) > _FIELDS else 0
    return NodeStatus(
        ranged(version, 0, _LARGEST, "version of the configuration"),
        digest,
        text(device_class, CLASS_LIMIT, "class"),
        ranged(slot, 0, _LARGEST, "slot"),
        ranged(sequence, 0, MAX_SEQUENCE, "sequence"),
        trial,
        ranged(result, 0, _LARGEST, "result"),
        ranged(of_sequence, 0, MAX_SEQUENCE, "sequence of the result"),
        recovery,
        state if isinstance(state, int) else 0,
    )
