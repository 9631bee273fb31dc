"""DESCRIBE: the first frame under fresh keys; the node's clock and its channels."""

from lilong_protocol import cbor
from lilong_protocol.descriptor import DESCRIPTOR_LIMIT
from lilong_protocol.errors import DecodeError
from lilong_protocol.fields import is_count
from lilong_protocol.kdf import sha256
from lilong_protocol.portable import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

    from lilong_protocol.handshake import Hello

HASH_BYTES = 8
_FIELDS = 5


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

    def follows(self, hello: "Hello", *, known: bool) -> bool:
        """Whether it is of the boot and the channels that the HELLO told of.

        Without a descriptor only if the gateway knows the one of this hash.
        """
        if self.boot_id != hello.boot_id or self.descriptor_hash != hello.descriptor_hash:
            return False
        if self.descriptor is None:
            return known
        return descriptor_hash(self.descriptor) == self.descriptor_hash


def descriptor_hash(descriptor: bytes) -> bytes:
    """Return the first 8 bytes of SHA-256, by which both ends know a descriptor."""
    return sha256(descriptor)[:HASH_BYTES]


def parse_description(plaintext: bytes) -> Description:
    """Return the opened DESCRIBE; DecodeError when its fields are wrong."""
    fields: list[Any] = cbor.decode_sequence(plaintext)
    if len(fields) < _FIELDS:
        raise DecodeError("a DESCRIBE with too few fields")
    boot_id, epoch_ms, uncertainty_ms, digest, descriptor = fields[:_FIELDS]
    if not is_count(boot_id, 1 << 32) or not is_count(uncertainty_ms, 1 << 48):
        raise DecodeError("a DESCRIBE with a wrong number")
    if epoch_ms is not None and not is_count(epoch_ms, 1 << 48):
        raise DecodeError("a DESCRIBE with a wrong clock")
    if type(digest) is not bytes or len(digest) != HASH_BYTES:
        raise DecodeError("a DESCRIBE with a wrong hash")
    if descriptor is not None and not _is_descriptor(descriptor):
        raise DecodeError("a DESCRIBE with a wrong descriptor")
    return Description(boot_id, epoch_ms, uncertainty_ms, digest, descriptor)


def _is_descriptor(value: "Any") -> bool:
    return type(value) is bytes and len(value) <= DESCRIPTOR_LIMIT
