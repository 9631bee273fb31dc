"""The formats of the sinks: what each platform is sent for the same batches."""

from lilong_gateway.config_uplink import Uplink
from lilong_gateway.uplink.formats.canonical import Canonical
from lilong_gateway.uplink.formats.events import Events
from lilong_gateway.uplink.formats.homeassistant import HomeAssistant
from lilong_gateway.uplink.formats.iotda import IoTDA
from lilong_gateway.uplink.formats.thingsboard import ThingsBoard
from lilong_gateway.uplink.message import Format


def make_format(sink: Uplink, topic: str) -> Format:
    """Return the format of a sink; topic: the beginning of this gateway's own topics there."""
    match sink.format:
        case "event+json":
            return Events(topic)
        case "thingsboard":
            return ThingsBoard(sink.device)
        case "iotda":
            return IoTDA(sink.device)
        case "homeassistant":
            return HomeAssistant(topic, sink.discovery_prefix)
        case canonical:
            return Canonical(topic, canonical)
