"""A recording instead of a sensor: rows of a CSV file at a chosen speed."""

from binascii import crc32

from lilong_firmware.decimal import parse_scaled
from lilong_firmware.errors import RowError, SensorError
from lilong_firmware.files import file_size
from lilong_firmware.row import Row
from lilong_firmware.timestamp import parse_timestamp
from lilong_protocol.portable import TYPE_CHECKING, const

if TYPE_CHECKING:
    from collections.abc import Callable

    from lilong_firmware.settings import ChannelSetting, ReplaySetting

_LINE_LIMIT = const(1024)
# Each may seal a batch, and flash takes its time: the link must get its turn.
_LINES_PER_TURN = const(8)
_HIGHEST_ASCII = const(0x7E)
_GAPS = ("", "nan", "na")


class Replay:
    """A source of rows with their own, recorded times; the file is read line by line.

    The first row is due at once, each later one when its distance in time, divided by the speed,
    has passed; rows that are late follow without a pause. A recording is patient: its rows wait
    while the journal is crowded, so that none gives way to a later one. `mark` says where to go
    on: what the journal's newest batch carries. It counts only for the same file of the same
    size.
    """

    patient = True

    def __init__(
        self,
        setting: "ReplaySetting",
        channels: "list[ChannelSetting]",
        mark: "tuple[int, int, int]",
        log: "Callable[[str], None]",
    ) -> None:
        self._setting = setting
        self._channels = channels
        self._time_exponent = channels[0].time_exponent
        self._log = log
        self.ended = False
        self.malformed = 0
        """Rows that were skipped because they cannot be read."""
        self._pending: Row | None = None
        self._start: tuple[int, int] | None = None
        source = crc32((setting.file + ":" + str(file_size(setting.file))).encode()) or 1
        self.mark = mark if mark[0] == source else (source, 0, 0)
        self._position = self.mark[1]
        self._skip = self.mark[2]
        try:
            self._file = open(setting.file, "rb")  # noqa: SIM115 - open until the recording ends
            self._file.seek(self._position)
        except OSError as error:
            raise SensorError("replay", setting.file + ": " + str(error))

    @property
    def failed(self) -> int:
        """Rows that gave nothing."""
        return self.malformed

    def rows(self, uptime_ms: int) -> "list[Row]":
        """Return rows that are due, in order; call again at once when wait_ms is then 0."""
        due: list[Row] = []
        for _ in range(_LINES_PER_TURN):
            row = self._pending or self._read_row()
            if row is None:
                if self.ended:
                    break
                continue
            self._pending = row
            if self._due_ms(row, uptime_ms) > uptime_ms:
                break
            row.uptime_ms = uptime_ms
            due.append(row)
            self._pending = None
        return due

    def wait_ms(self, uptime_ms: int) -> int:
        """Return the milliseconds until the next row is due."""
        if self._pending is None:
            return 0
        return max(0, self._due_ms(self._pending, uptime_ms) - uptime_ms)

    def close(self) -> None:
        """Give the file back."""
        self._file.close()

    def _due_ms(self, row: Row, uptime_ms: int) -> int:
        if self._start is None:
            self._start = (uptime_ms, row.time)
        start_ms, start_time = self._start
        recorded = row.time - start_time
        if self._time_exponent == 0:
            recorded *= 1000
        return start_ms + recorded * 1000 // self._setting.speed_permille

    def _read_row(self) -> "Row | None":
        """Return the next row, None when the line held none or the recording is over."""
        line = self._file.readline(_LINE_LIMIT)
        begin = self._position
        self._position += len(line)
        if not line:
            self.close()
            self.ended = True
            return None
        try:
            return self._parse(line)
        except RowError as error:
            if begin:
                self.malformed += 1
                self._log("replay: row at byte " + str(begin) + " skipped: " + str(error))
            return None

    def _parse(self, line: bytes) -> "Row | None":
        if len(line) == _LINE_LIMIT and not line.endswith(b"\n"):
            self._pass_over()
            raise RowError("row", "longer than 1024 bytes")
        text = line.strip()
        if not text:
            return None
        if max(text) > _HIGHEST_ASCII:
            raise RowError("row", "not ASCII")
        cells = str(text, "ascii").split(",")
        readings = self._readings(cells)
        time = parse_timestamp(_cell(cells, self._setting.time_column), self._time_exponent)
        if not readings:
            return None
        part = self._skip
        self._skip = 0
        return Row(0, None, time, readings[part:], self._position, part)

    def _readings(self, cells: "list[str]") -> "list[tuple[int, int]]":
        readings = []
        for index, column in enumerate(self._setting.value_columns):
            text = _cell(cells, column)
            if text.lower() not in _GAPS:
                channel = self._channels[index]
                readings.append((channel.number, parse_scaled(text, channel.exponent)))
        return readings

    def _pass_over(self) -> None:
        """Skip the rest of a line that is too long."""
        while True:
            rest = self._file.readline(_LINE_LIMIT)
            self._position += len(rest)
            if not rest or rest.endswith(b"\n"):
                return


def _cell(cells: "list[str]", column: int) -> str:
    """Return a cell without blanks and quotes; RowError when the row is too short."""
    if column >= len(cells):
        raise RowError("row", "only " + str(len(cells)) + " columns")
    return cells[column].strip().strip('"')
