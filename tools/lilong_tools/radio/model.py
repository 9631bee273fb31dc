"""What a Bluetooth LE radio can carry: times and limits, from Core 5.4, Vol 6, Part B.

Sizes are octets, times on the air microseconds, intervals milliseconds.
"""

import math
from dataclasses import dataclass

IFS_US = 150
"""Between two packets (4.1.1)."""
GUARD_US = 150
"""What a connection event leaves free before the next one begins."""
L2CAP_OCTETS = 4
ATT_OCTETS = 3
_PHY_2M = 2
_ACCESS_AND_CRC = 4 + 3
_HEADER = 2
_MIC = 4
_ADDRESS = 6
_MILLI = 1e-3
_MICRO = 1e-6


@dataclass(frozen=True)
class RadioModel:
    """The radio that an air plays. As it stands: two good radios in a quiet room.

    `interval_ms` is the connection interval that adapters get if it lies in what they ask for.
    `event_loss` is the share of connection events in which nothing comes through, `advert_loss`
    the share of advertisements that nobody hears; with `collisions` it grows with their rate.
    A controller holds `buffers` packets of its host, and `links` connections at once; while it
    scans or connects, it keeps `listening`, a share of its time, from its connections.
    """

    interval_ms: float = 30.0
    packets_per_event: int = 6
    phy: int = 1
    data_length: int = 251
    encrypted: bool = False
    event_loss: float = 0.0
    advert_loss: float = 0.0
    collisions: bool = True
    buffers: int = 16
    links: int = 8
    listening: float = 1 / 3
    rssi_dbm: int = -60
    rssi_spread_db: float = 2.0

    def packet_us(self, octets: int) -> int:
        """Return the time of one data packet with so many octets of payload (2.1, 2.2)."""
        preamble = 2 if self.phy == _PHY_2M else 1
        mic = _MIC if self.encrypted and octets else 0
        whole = preamble + _ACCESS_AND_CRC + _HEADER + octets + mic
        return whole * 8 // self.phy

    def exchange_us(self, one: int, other: int) -> int:
        """Return the time of a packet each way, of so many octets, with the gaps after them."""
        return self.packet_us(one) + self.packet_us(other) + 2 * IFS_US

    def event_us(self, interval_ms: float) -> float:
        """Return the time that a connection event may fill."""
        return interval_ms * 1000 - GUARD_US

    def pieces(self, octets: int) -> list[int]:
        """Return the payloads of the packets that carry so many octets of L2CAP."""
        whole, rest = divmod(octets, self.data_length)
        return [self.data_length] * whole + ([rest] if rest else [])

    def notification_us(self, mtu: int) -> int:
        """Return the time of a notification that fills an ATT MTU, sent one way."""
        return sum(self.exchange_us(octets, 0) for octets in self.pieces(mtu + L2CAP_OCTETS))

    def packets(self, octets: int, interval_ms: float | None = None) -> int:
        """Return how many packets of so many octets go one way in a connection event."""
        free_us = self.event_us(interval_ms or self.interval_ms)
        fitting = int(free_us // self.exchange_us(octets, 0))
        return max(1, min(self.packets_per_event, fitting))

    def notify_rate(self, mtu: int, interval_ms: float | None = None) -> float:
        """Return the notifications a second that one connection can carry at this MTU."""
        interval = interval_ms or self.interval_ms
        pieces = self.pieces(mtu + L2CAP_OCTETS)
        through = self.packets(pieces[0], interval) / len(pieces)
        return through * (1 - self.event_loss) / (interval * _MILLI)

    def goodput_limit(self, mtu: int, interval_ms: float | None = None) -> float:
        """Return the bytes of attribute value a second that one connection can carry."""
        return self.notify_rate(mtu, interval_ms) * (mtu - ATT_OCTETS)

    def radio_limit(self, mtu: int) -> float:
        """Return the bytes of attribute value a second if one event never ended."""
        return (mtu - ATT_OCTETS) / (self.notification_us(mtu) * _MICRO)

    def advert_us(self, octets: int) -> int:
        """Return the time of an advertisement on one channel; they always go at 1 Mbit/s."""
        return (1 + _ACCESS_AND_CRC + _HEADER + _ADDRESS + octets) * 8

    def advert_heard(self, octets: int, rate_per_s: float) -> float:
        """Return the share of advertisements heard where `rate_per_s` go out in all (ALOHA)."""
        clear = 1 - self.advert_loss
        if self.collisions:
            clear *= math.exp(-2 * rate_per_s * self.advert_us(octets) * _MICRO)
        return clear
