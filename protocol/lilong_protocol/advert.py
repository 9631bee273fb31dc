"""What a node says of itself to all who listen, sealed (SPEC section 15.3), and its GATT service.

Who has the node's key learns what waits and whether there is an alarm; others learn the EUI.
"""

from lilong_protocol import kdf
from lilong_protocol.aead import Aead
from lilong_protocol.frame import VERSION
from lilong_protocol.portable import const

SERVICE = "2ba20001-4c1d-4e7a-9d35-6c696c6f6e67"
UP = "2ba20002-4c1d-4e7a-9d35-6c696c6f6e67"
"""The characteristic that notifies: from the node to the gateway."""
DOWN = "2ba20003-4c1d-4e7a-9d35-6c696c6f6e67"
"""The characteristic that is written: from the gateway to the node."""

COMPANY = 0xFFFF
"""The company identifier that Bluetooth SIG gives to nobody."""
ADVERT = 12
ADVERT_BYTES = 24
HEAD_BYTES = 13
TAG_BYTES = 6

_INFO = b"lilong advert"
_KEY_BYTES = const(16)
_ALARM = const(0x80)
_RAISED = const(0x40)
_CLASSES = const(0x3F)
_CODES = const(15)
_SUPPLY_MV = const(20)
_FLAGS = b"\x02\x01\x06"
_MANUFACTURER = b"\x1b\xff\xff\xff"


class Told:
    """What an advertisement tells.

    alarm: a batch of the alarm stream waits, the newest of channel, with these low 8 bits of its
    seq, raised or cleared; all of them 0 and False without one. waiting counts batches of all
    streams, age_s is the age of the oldest one; read back, both are lower bounds: the power of
    two below. supply_mv is None where it is not known, and at most 5100.
    """

    def __init__(
        self,
        *,
        alarm: bool,
        raised: bool,
        device_class: int,
        waiting: int,
        age_s: int,
        supply_mv: "int | None",
        channel: int,
        seq: int,
    ) -> None:
        self.alarm = alarm
        self.raised = raised
        self.device_class = device_class
        self.waiting = waiting
        self.age_s = age_s
        self.supply_mv = supply_mv
        self.channel = channel
        self.seq = seq

    def pack(self) -> bytes:
        """Return the five bytes to be sealed."""
        first = self.device_class & _CLASSES
        if self.alarm:
            first |= _ALARM | (_RAISED if self.raised else 0)
        supply = 0 if self.supply_mv is None else min(255, max(1, self.supply_mv // _SUPPLY_MV))
        return bytes(
            (
                first,
                _code(self.waiting) << 4 | _code(self.age_s),
                supply,
                self.channel & 0xFF if self.alarm else 0,
                self.seq & 0xFF if self.alarm else 0,
            )
        )


def parse_told(plaintext: bytes) -> Told:
    """Return what the five bytes tell."""
    first, counts, supply, channel, seq = plaintext
    alarm = bool(first & _ALARM)
    return Told(
        alarm=alarm,
        raised=alarm and bool(first & _RAISED),
        device_class=first & _CLASSES,
        waiting=_at_least(counts >> 4),
        age_s=_at_least(counts & _CODES),
        supply_mv=supply * _SUPPLY_MV if supply else None,
        channel=channel if alarm else 0,
        seq=seq if alarm else 0,
    )


def advert_aead(key: bytes) -> Aead:
    """Return the cipher of a node's advertisements."""
    return Aead(kdf.hkdf(key, b"", _INFO, _KEY_BYTES), TAG_BYTES)


def advert_nonce(eui: bytes, counter: int) -> bytes:
    """Return the nonce: a counter is used once under a key."""
    return eui + b"\0" + counter.to_bytes(4, "big")


def seal_advert(key: bytes, eui: bytes, counter: int, told: Told) -> bytes:
    """Return the 24 bytes; the counter must never have been used with this key."""
    head = bytes((VERSION << 5 | ADVERT,)) + eui + counter.to_bytes(4, "big")
    return head + advert_aead(key).seal(advert_nonce(eui, counter), told.pack(), head)


def payload(advert: bytes) -> bytes:
    """Return the advertising data: flags, and the advertisement as data of no manufacturer."""
    return _FLAGS + _MANUFACTURER + advert


def scan_response(eui: bytes) -> bytes:
    """Return what an active scan is told besides: the service, and a name for people."""
    name = b"lilong " + eui[6:].hex().encode()
    service = bytes.fromhex(SERVICE.replace("-", ""))
    swapped = bytes(reversed(service))
    return b"\x11\x07" + swapped + bytes((len(name) + 1, 9)) + name


def _code(count: int) -> int:
    bits = 0
    while count > 0 and bits < _CODES:
        bits += 1
        count >>= 1
    return bits


def _at_least(code: int) -> int:
    return 1 << (code - 1) if code else 0
