"""What is on the air, and when it changes."""

from lilong_protocol.advert import payload, seal_advert
from lilong_protocol.portable import TYPE_CHECKING, const

if TYPE_CHECKING:
    from lilong_firmware.ble.content import Content
    from lilong_firmware.ble.counter import Counter
    from lilong_firmware.ble.radio import Radio
    from lilong_firmware.clock import Clock
    from lilong_protocol.node_keys import NodeKeys

_ALARM_MS = const(100)
_REFRESH_MS = const(250)
_LOOK_MS = const(1000)
# A gateway that is there has so long to take an alarm before others hear of it.
_PATIENCE_MS = const(1000)
_RENEW_MS = const(60000)
_SILENT = (0, False, b"")


class Advertiser:
    """Advertises while nobody is connected; an alarm that somebody does not take, all the same.

    The content is sealed anew when it has changed: at once for an alarm, else at most four times
    a second. What is on the air is said to the radio again every minute.
    """

    def __init__(
        self,
        radio: "Radio",
        content: "Content",
        counter: "Counter",
        keys: "NodeKeys",
        eui: bytes,
        clock: "Clock",
        interval_ms: int,
    ) -> None:
        self._radio = radio
        self._content = content
        self._counter = counter
        self._keys = keys
        self._eui = eui
        self._clock = clock
        self._interval_ms = interval_ms
        self._advert = b""
        self._sealed = (b"", b"")
        self._sealed_ms = 0
        self._alarms = 0
        self._on_air: tuple[int, bool, bytes] | None = None
        self._said_ms = 0
        self._retry_ms = 0
        self.sound_ms = 0
        """The uptime at which the radio last did what it was told."""
        self.refused = 0
        """How often it did not."""

    def doubt(self) -> None:
        """Somebody came or went: radios stop advertising by themselves then."""
        self._on_air = None

    def step(self, now_ms: int, *, connected: bool) -> int:
        """Say what there is to say; return the milliseconds to wait, unless something happens."""
        alarm_ms = self._content.look(now_ms)
        if connected and (alarm_ms is None or alarm_ms < _PATIENCE_MS):
            self._put_on_air(_SILENT, now_ms)
            return _LOOK_MS if alarm_ms is None else _PATIENCE_MS - alarm_ms
        wait_ms = self._refresh(now_ms)
        interval_ms = self._interval_ms
        if alarm_ms is not None:
            interval_ms = min(interval_ms, _ALARM_MS)
        self._put_on_air((interval_ms, not connected, self._advert), now_ms)
        return wait_ms

    def _put_on_air(self, wanted: "tuple[int, bool, bytes]", now_ms: int) -> None:
        known = wanted == self._on_air and now_ms - self._said_ms < _RENEW_MS
        if known or now_ms < self._retry_ms:
            return
        self._said_ms = now_ms
        interval_ms, connectable, advert = wanted
        if not advert:
            done = self._radio.silence()
        else:
            done = self._radio.advertise(interval_ms, payload(advert), connectable=connectable)
        self._on_air = wanted if done else None
        if done:
            self.sound_ms = now_ms
        else:
            self.refused += 1
            self._retry_ms = now_ms + _REFRESH_MS

    def _refresh(self, now_ms: int) -> int:
        """Seal what has changed; return the milliseconds until that may be worth while again."""
        alarms = self._content.alarms
        waited_ms = now_ms - self._sealed_ms
        if self._advert and alarms == self._alarms and waited_ms < _REFRESH_MS:
            return _REFRESH_MS - waited_ms
        told, key = self._content.told(now_ms), self._keys.current
        wanted = (told.pack(), key)
        if wanted == self._sealed:
            return _LOOK_MS
        self._alarms = alarms
        self._sealed_ms = now_ms
        number = self._counter.take(self._clock.time_ms(now_ms))
        if number is not None:
            self._sealed = wanted
            self._advert = seal_advert(key, self._eui, number, told)
            return _REFRESH_MS
        # Flash refuses, for a while perhaps. What is on the air stays; or it is always the same
        # under the same number, whatever happens.
        self._sealed_ms += _RENEW_MS
        spare, blank = self._counter.spare, self._content.blank()
        self._advert = self._advert or seal_advert(key, self._eui, spare, blank)
        return _LOOK_MS
