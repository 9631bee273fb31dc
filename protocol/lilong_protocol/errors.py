"""Everything this package raises.

ProtocolError
├── DecodeError          their bytes: not what the specification allows; count it, drop it
├── AuthenticationError  their bytes: not sealed or signed by the key's holder; count it, drop it
├── RangeError           our misuse: the value has no encoding; correct the caller
└── StateError           our misuse: not allowed now; correct the caller
"""


class ProtocolError(Exception):
    """The root of the tree."""


class DecodeError(ProtocolError):
    """A peer's bytes do not follow the specification."""


class AuthenticationError(ProtocolError):
    """A peer's bytes were not sealed or signed under the key that they must be."""


class RangeError(ProtocolError):
    """A value handed in by our own side cannot be put on the wire."""


class StateError(ProtocolError):
    """A call by our own side that the present state does not allow."""
