"""The counter of a chip that has none of its own; virtual nodes have one."""

from lilong_firmware.devices.pulses import Pulses


class Pin:
    """Calls back at each falling edge, as machine.Pin does."""

    IRQ_FALLING = 2

    def irq(self, handler, trigger):
        assert trigger == self.IRQ_FALLING
        self.fall = lambda: handler(self)


def test_every_interrupt_of_a_falling_edge_counts_from_the_start_on():
    pin = Pin()
    pulses = Pulses(pin)
    assert pulses.value() == 0
    for _ in range(3):
        pin.fall()
    assert pulses.value() == 3
