"""The wall time of a node: its uptime and an offset, corrected so gently that no reading notices.

    state     on a measurement                              what follows
    unknown   any                                           the offset is taken as it is
    known     no more than 2 s off                          slewed away, 0.5 ms a second
    known     two in a row, the same more than 2 s ahead  the time steps forward
    known     two in a row, the same more than 2 s back   `wrong`: only a new boot mends it

Within a boot the time never goes back and never stands still. So a gateway that was wrong by
years and was put right cannot disorder readings, and cannot hold the node in a false future
either: the next boot begins with the right time, and its readings are ordered among themselves.
"""

from lilong_protocol.portable import TYPE_CHECKING, const

if TYPE_CHECKING:
    Measured = tuple[int, int]
    """(uptime in ms, offset in ms)."""

_SLEW_PPM = const(500)
_STEP_MS = const(2000)
_AGREEING = const(2)
_ANCHORS = const(8)
_BASELINE_MS = const(900000)
_PPB_PER_PPM = const(1000)
_MS_PPB_PER_US = const(1000000)
# A crystal is within 40 ppm over its temperatures; a slope beyond this is the gateway's clock.
_DRIFT_LIMIT_PPB = const(150000)
_UNTRACKED_PPM = const(100)
_TRACKED_PPM = const(10)


class Discipline:
    """Takes what exchanges with a gateway measured, tells the time. Integers throughout.

    `patience_ms` is the uptime before which `wrong` is not said.
    """

    def __init__(self, patience_ms: int = 0) -> None:
        self.patience_ms = patience_ms
        self.drift_ppb = 0
        """By how much the gateway's clock gains on the node's, in 1e-9."""
        self.residual_ms = 0
        """Error that the last measurement found, positive where the node was behind."""
        self.steps = 0
        self.wrong = False
        """Whether the time is far ahead of the gateway's, and stays so during this boot."""
        self._known = False
        self._base_ms = 0
        self._base_us = 0
        self._slew_us = 0
        self.uncertainty_ms = 0
        """Half the delay of the last exchange."""
        self._measured_ms = -1
        self._anchors: list[Measured] = []
        self._tracked = False
        self._distant: Measured = (0, 0)

    def time_ms(self, uptime_ms: int) -> "int | None":
        """Return milliseconds since 2000, None before the first measurement."""
        if not self._known:
            return None
        return uptime_ms + self._offset_us(uptime_ms) // 1000

    def error_ms(self, uptime_ms: int) -> "int | None":
        """Return by how much the time may be wrong, None before the first measurement.

        That is what is left to slew, the uncertainty of the exchange, and what has drifted since.
        """
        if not self._known:
            return None
        if self.wrong:
            return abs(self.residual_ms)
        age_ms = max(0, uptime_ms - self._measured_ms)
        ppm = _TRACKED_PPM if self._tracked else _UNTRACKED_PPM
        left_us = abs(self._slew_us - self._slewed_us(uptime_ms))
        return self.uncertainty_ms + (left_us + age_ms * ppm // 1000 + 999) // 1000

    def measured(
        self, offset_ms: int, uncertainty_ms: int, measured_ms: int, uptime_ms: int
    ) -> None:
        """Take the offset that an exchange found at uptime `measured_ms`; now is `uptime_ms`."""
        if measured_ms == self._measured_ms:
            return
        if not self._known:
            self._known = True
            self._begin(offset_ms * 1000, uptime_ms)
            self._accept(offset_ms, uncertainty_ms, measured_ms)
            return
        aged_us = (uptime_ms - measured_ms) * self.drift_ppb // _MS_PPB_PER_US
        error_us = offset_ms * 1000 + aged_us - self._offset_us(uptime_ms)
        self.residual_ms = error_us // 1000
        if abs(error_us) > _STEP_MS * 1000:
            self._measured_ms = measured_ms
            self._take_distant(offset_ms, error_us, uptime_ms)
            return
        self._distant = (0, 0)
        self.wrong = False
        # Drift counts from the base on: with a new one the base must be now.
        self._correct(error_us, uptime_ms)
        self._accept(offset_ms, uncertainty_ms, measured_ms)

    def _take_distant(self, offset_ms: int, error_us: int, uptime_ms: int) -> None:
        """Believe in a great error when several measurements in a row agree on it."""
        count, before_ms = self._distant
        agrees = count > 0 and abs(offset_ms - before_ms) <= _STEP_MS
        count = count + 1 if agrees else 1
        self._distant = (count, offset_ms)
        if count < _AGREEING:
            return
        self._anchors = []
        if error_us > 0:
            self.steps += 1
            self.wrong = False
            self._distant = (0, 0)
            self._begin(self._offset_us(uptime_ms) + error_us, uptime_ms)
        elif uptime_ms >= self.patience_ms:
            self.wrong = True

    def _accept(self, offset_ms: int, uncertainty_ms: int, measured_ms: int) -> None:
        """Keep the measurement as the latest one, and see what drift it shows."""
        self.uncertainty_ms = uncertainty_ms
        self._measured_ms = measured_ms
        anchors = self._anchors
        if anchors and measured_ms - anchors[-1][0] < _BASELINE_MS:
            return
        if anchors:
            since_ms, since_offset_ms = anchors[0]
            gained_ms = offset_ms - since_offset_ms
            drift_ppb = gained_ms * 1000 * _MS_PPB_PER_US // (measured_ms - since_ms)
            if abs(drift_ppb) > _DRIFT_LIMIT_PPB:
                anchors.clear()
            else:
                self.drift_ppb = drift_ppb
                self._tracked = True
        anchors.append((measured_ms, offset_ms))
        if len(anchors) > _ANCHORS:
            anchors.pop(0)

    def _correct(self, error_us: int, uptime_ms: int) -> None:
        """Go on from where the time stands, and slew the error away."""
        self._begin(self._offset_us(uptime_ms), uptime_ms)
        self._slew_us = error_us

    def _begin(self, offset_us: int, uptime_ms: int) -> None:
        self._base_us = offset_us
        self._base_ms = uptime_ms
        self._slew_us = 0

    def _offset_us(self, uptime_ms: int) -> int:
        drifted_us = (uptime_ms - self._base_ms) * self.drift_ppb // _MS_PPB_PER_US
        return self._base_us + drifted_us + self._slewed_us(uptime_ms)

    def _slewed_us(self, uptime_ms: int) -> int:
        """Return how much of the correction is done."""
        most_us = max(0, uptime_ms - self._base_ms) * _SLEW_PPM // _PPB_PER_PPM
        if self._slew_us >= 0:
            return min(self._slew_us, most_us)
        return max(self._slew_us, -most_us)
