"""Puts together the link of a node on BLE; the start forgets this module."""

from lilong_firmware.ble.advertiser import Advertiser
from lilong_firmware.ble.content import Content
from lilong_firmware.ble.counter import Counter
from lilong_firmware.ble.visits import Visits
from lilong_protocol.portable import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from lilong_firmware.ble.radio import Radio
    from lilong_firmware.node import Prepared
    from lilong_protocol.node_events import Event
    from lilong_protocol.node_keys import NodeKeys
    from lilong_protocol.node_session import NodeSession

_COUNTER = "advert.txt"
_CLASSES = ("lilong-unix", "lilong-esp32", "lilong-esp32s3", "lilong-esp32c3")


def build_visits(
    radio: "Radio",
    prepared: "Prepared",
    keys: "NodeKeys",
    session: "NodeSession",
    wake: "asyncio.Event",
    on_event: "Callable[[Event], None]",
) -> Visits:
    """Return what stands where other nodes have their Link."""
    board, clock = prepared.board, prepared.clock
    name = board.device_class()
    code = 1 + _CLASSES.index(name) if name in _CLASSES else 0
    content = Content(prepared.journal, board.supply_mv, code, prepared.states)
    counter = Counter(_COUNTER, board.random)
    advertiser = Advertiser(radio, content, counter, keys, prepared.eui, clock, prepared.advert_ms)
    return Visits(radio, session, clock, wake, on_event, advertiser)
