"""What of a driver goes where: its quantities into channels."""

from lilong_firmware.devices.setup import STATUS
from lilong_protocol.portable import TYPE_CHECKING

if TYPE_CHECKING:
    from lilong_firmware.devices.setup import DeviceSetting
    from lilong_firmware.settings import ChannelSetting


class Feed:
    """A channel that a quantity feeds; `shift` is by how many digits its scale is finer."""

    def __init__(self, channel: "ChannelSetting", index: int, shift: int) -> None:
        self.number = channel.number
        self.interval_ms = channel.interval_ms
        self.index = index
        self.shift = shift
        self.due_ms = 0

    def scaled(self, value: int) -> int:
        """Return the value in the channel's scale, rounded to the nearest."""
        if self.shift >= 0:
            return value * 10**self.shift
        unit = 10**-self.shift
        return (2 * value + unit) // (2 * unit)


def next_slot(due_ms: int, interval_ms: int, now_ms: int) -> int:
    """Return the first slot after now; slots that were missed are not made up for."""
    if due_ms > now_ms:
        return due_ms
    return due_ms + ((now_ms - due_ms) // interval_ms + 1) * interval_ms


def feeds(
    setting: "DeviceSetting", channels: "list[ChannelSetting]"
) -> "tuple[list[Feed], list[Feed]]":
    """Return the channels that its values feed, and those that its status feeds."""
    values, status = [], []
    names = [given.name for given in setting.driver.GIVES]
    for channel in channels:
        device, _, quantity = channel.source.partition(".")
        if device != setting.name:
            continue
        if quantity == STATUS:
            status.append(Feed(channel, 0, 0))
        else:
            index = names.index(quantity)
            shift = setting.driver.GIVES[index].exponent - channel.exponent
            values.append(Feed(channel, index, shift))
    return values, status
