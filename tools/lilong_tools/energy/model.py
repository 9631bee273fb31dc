"""The model: pure functions from assumptions and a scenario to charge a day. Units are in names.

A node on a battery wakes for every round, keeps it in RTC memory, and starts as a whole to send:
when the report is due, when the memory is full, and for every event. A node on the mains is awake
all the time.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

DAY_S = 86400
_MC_PER_MAH = 3600
_UA_PER_MA = 1000
_MS_PER_S = 1000
_DAYS_PER_MONTH = 30.4

PARTS = ("sleep", "wake", "sensors", "send")
"""What the charge of a day is made of."""


@dataclass(frozen=True, slots=True)
class Sensor:
    """One sensor: `on_ua` for `on_ms` a measurement, `off_ua` else; without on_ms it runs always.

    `driver` is "" where this firmware has none for it.
    """

    name: str
    driver: str
    on_ua: float
    on_ms: float | None
    off_ua: float


@dataclass(frozen=True, slots=True)
class Chip:
    """A chip and what its wake costs."""

    sleep_ua: float
    active_ma: float
    radio_ma: float
    boot_ms: float
    boot_mc: float


@dataclass(frozen=True, slots=True)
class Costs:
    """What is the same for every chip; see assumptions.toml."""

    board_ua: float
    mount_ms: float
    mount_mc: float
    code_ms: float
    start_s: float
    find_s: float
    session_s: float
    linger_s: float
    reading_b: float
    overhead_b: float
    throughput_b_s: float
    room_b: float
    round_b: float
    value_b: float


@dataclass(frozen=True, slots=True)
class Load:
    """What a scenario asks of its node."""

    mains: bool
    sample_s: float
    report_s: float
    channels: int
    events_a_day: float
    sensors: Sequence[Sensor]


@dataclass(frozen=True, slots=True)
class Cell:
    """A battery: what it is rated for, the share that is to be had, the share lost a month."""

    rated_mah: float
    usable: float
    self_discharge: float


def wakes_a_day(load: Load) -> float:
    """Give how often a round is taken."""
    return DAY_S / load.sample_s + load.events_a_day


def sends_a_day(load: Load, costs: Costs) -> float:
    """Give how often the whole node starts: reports, events, and a full memory."""
    rounds_in_memory = costs.room_b // (costs.round_b + costs.value_b * load.channels)
    full = DAY_S / load.sample_s / rounds_in_memory
    return max(DAY_S / load.report_s, full) + load.events_a_day


def round_ms(load: Load) -> float:
    """Give how long the sensors of one round measure, one after the other."""
    return sum(sensor.on_ms or 0 for sensor in load.sensors)


def wake_ms(load: Load, chip: Chip, costs: Costs) -> float:
    """Give how long the chip is awake for one round."""
    return chip.boot_ms + costs.mount_ms + costs.code_ms + round_ms(load)


def wake_mc(load: Load, chip: Chip, costs: Costs) -> float:
    """Give the charge of one wake, without that of the sensors."""
    own_ms = costs.code_ms + round_ms(load)
    return chip.boot_mc + costs.mount_mc + own_ms * chip.active_ma / _MS_PER_S


def send_s(load: Load, costs: Costs) -> float:
    """Give how long one start of the whole node lasts, on top of the wake before it."""
    readings = wakes_a_day(load) * load.channels / sends_a_day(load, costs)
    air_s = (costs.overhead_b + readings * costs.reading_b) / costs.throughput_b_s
    return costs.start_s + costs.find_s + costs.session_s + air_s + costs.linger_s


def send_mc(load: Load, chip: Chip, costs: Costs) -> float:
    """Give the charge of that; the radio is off while the application starts."""
    whole_s = send_s(load, costs)
    radio_s = whole_s - costs.start_s
    return whole_s * chip.active_ma + radio_s * chip.radio_ma


def sensor_mah(sensor: Sensor, measurements: float) -> float:
    """Give what one sensor takes in a day with so many measurements."""
    if sensor.on_ms is None:
        return sensor.on_ua * DAY_S / _UA_PER_MA / _MC_PER_MAH
    on_s = min(DAY_S, measurements * sensor.on_ms / _MS_PER_S)
    charge_uc = sensor.on_ua * on_s + sensor.off_ua * (DAY_S - on_s)
    return charge_uc / _UA_PER_MA / _MC_PER_MAH


def day_mah(load: Load, chip: Chip, costs: Costs) -> Mapping[str, float]:
    """Give the charge of one day by PARTS, in mAh."""
    wakes = wakes_a_day(load)
    sensors = sum(sensor_mah(sensor, wakes) for sensor in load.sensors)
    if load.mains:
        radio = chip.radio_ma * DAY_S / _MC_PER_MAH
        board = chip.active_ma + costs.board_ua / _UA_PER_MA
        return {
            "sleep": 0.0,
            "wake": board * DAY_S / _MC_PER_MAH,
            "sensors": sensors,
            "send": radio,
        }
    sends = sends_a_day(load, costs)
    awake_s = wakes * wake_ms(load, chip, costs) / _MS_PER_S + sends * send_s(load, costs)
    asleep_s = max(0.0, DAY_S - awake_s)
    chip_uc = chip.sleep_ua * asleep_s + costs.board_ua * DAY_S
    return {
        "sleep": chip_uc / _UA_PER_MA / _MC_PER_MAH,
        "wake": wakes * wake_mc(load, chip, costs) / _MC_PER_MAH,
        "sensors": sensors,
        "send": sends * send_mc(load, chip, costs) / _MC_PER_MAH,
    }


def fits(load: Load, chip: Chip, costs: Costs) -> bool:
    """Whether the day is long enough for all that; otherwise the node would never sleep."""
    awake_s = wakes_a_day(load) * wake_ms(load, chip, costs) / _MS_PER_S
    return load.mains or awake_s + sends_a_day(load, costs) * send_s(load, costs) < DAY_S


def life_days(a_day_mah: float, cell: Cell) -> float:
    """Give how long a cell lasts, its own loss included."""
    lost_mah = cell.rated_mah * cell.self_discharge / _DAYS_PER_MONTH
    return cell.rated_mah * cell.usable / (a_day_mah + lost_mah)
