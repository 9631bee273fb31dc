"""DESCRIBE as the gateway reads it: its fields checked, and against the HELLO before it."""

from lilong_protocol import cbor
from lilong_protocol.description import HASH_BYTES, Description, descriptor_hash
from lilong_protocol.descriptor import DESCRIPTOR_LIMIT
from lilong_protocol.errors import DecodeError
from lilong_protocol.fields import is_count
from lilong_protocol.portable import TYPE_CHECKING, const

if TYPE_CHECKING:
    from typing import Any

    from lilong_protocol.hello import Hello

_FIELDS = const(5)


def follows(description: Description, hello: "Hello", *, known: bool) -> bool:
    """Whether it is of the boot and the channels that the HELLO told of.

    Without a descriptor only if the gateway knows the one of this hash.
    """
    if (
        description.boot_id != hello.boot_id
        or description.descriptor_hash != hello.descriptor_hash
    ):
        return False
    if description.descriptor is None:
        return known
    return descriptor_hash(description.descriptor) == description.descriptor_hash


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
