"""DESCRIBE: the first frame under fresh keys; the node's clock and its channels."""

from lilong_protocol import cbor
from lilong_protocol.kdf import sha256

HASH_BYTES = 8


class Description:
    """What the gateway needs to read this boot's batches.

    epoch_ms_at_boot is milliseconds since 2000 at uptime 0, None while the node has no time;
    descriptor is None when the gateway already has the one of this hash.
    """

    def __init__(
        self,
        boot_id: int,
        epoch_ms_at_boot: "int | None",
        uncertainty_ms: int,
        descriptor_hash: bytes,
        descriptor: "bytes | None",
    ) -> None:
        self.boot_id = boot_id
        self.epoch_ms_at_boot = epoch_ms_at_boot
        self.uncertainty_ms = uncertainty_ms
        self.descriptor_hash = descriptor_hash
        self.descriptor = descriptor

    def pack(self) -> bytes:
        """Return the plaintext to be sealed."""
        clock = (self.boot_id, self.epoch_ms_at_boot, self.uncertainty_ms)
        return cbor.encode_sequence(clock) + cbor.encode_sequence(
            (self.descriptor_hash, self.descriptor)
        )


def descriptor_hash(descriptor: bytes) -> bytes:
    """Return the first 8 bytes of SHA-256, by which both ends know a descriptor."""
    return sha256(descriptor)[:HASH_BYTES]
