"""SHA-512 (FIPS 180-4): the interpreter's own, else the one in Python.

MicroPython's hashlib has no SHA-512.
"""

import hashlib

from lilong_protocol.portable import TYPE_CHECKING

if TYPE_CHECKING:
    from lilong_protocol.sha512_pure import Sha512
else:
    try:
        Sha512 = hashlib.sha512
    except AttributeError:
        from lilong_protocol.sha512_pure import Sha512

__all__ = ("Sha512",)
