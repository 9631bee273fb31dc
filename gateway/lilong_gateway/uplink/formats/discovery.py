"""What Home Assistant is told of the gateway and its nodes: each is a device with its entities.

www.home-assistant.io/integrations/mqtt, "Device discovery payload": device and origin stand at the
root, platform and unique_id in each component.
"""

import re
from collections.abc import Iterable, Mapping

from lilong_gateway.uplink.formats import json_text
from lilong_gateway.uplink.formats.units import Kind, kind
from lilong_gateway.uplink.message import Message
from lilong_protocol.descriptor import Channel

EXPIRE_AFTER_S = 7200
"""Without a reading for so long an entity is unavailable; sleeping nodes deliver each hour."""

HEALTH_EXPIRE_AFTER_S = 300

_TOTALS = frozenset({"energy", "volume"})
"""Device classes of which Home Assistant admits no measurements, only totals."""

_SUFFIXES: Mapping[str, Kind] = {
    "ms": Kind("duration", "ms"),
    "s": Kind("duration", "s"),
    "h": Kind("duration", "h"),
    "bytes": Kind("data_size", "B"),
}
_MAKER = "Lilong"


class Discovery:
    """Writes the messages; topic is the beginning of the gateway's own topics."""

    def __init__(self, topic: str, prefix: str) -> None:
        site, gateway = topic.split("/")[-2:]
        self._topic = topic
        self._prefix = prefix
        self._gateway = f"lilong_{site}_{gateway}"
        self._name = f"Lilong gateway {gateway}"

    def state_topic(self, eui: bytes, channel: str) -> str:
        """Return where the values of a node's channel go."""
        return f"{self._topic}/state/{eui.hex()}/{channel}"

    def node(self, eui: bytes, channels: Iterable[Channel]) -> Message:
        """Return what tells of a node."""
        own = f"lilong_{eui.hex()}"
        device = {
            "identifiers": [own],
            "name": f"lilong {eui.hex()[-4:]}",
            "manufacturer": _MAKER,
            "serial_number": eui.hex(),
            "via_device": self._gateway,
        }
        components = {
            _identifier(channel.name): self._sensor(own, eui, channel) for channel in channels
        }
        return self._config(own, device, components)

    def gateway(self, figures: Mapping[str, bool]) -> Message:
        """Return what tells of the gateway; figures: which of its figures are numbers."""
        device = {"identifiers": [self._gateway], "name": self._name, "manufacturer": _MAKER}
        components = {
            _identifier(name): self._figure(name, number=number)
            for name, number in figures.items()
        }
        return self._config(self._gateway, device, components)

    def _sensor(self, own: str, eui: bytes, channel: Channel) -> dict[str, object]:
        return {
            "platform": "sensor",
            "unique_id": f"{own}_{_identifier(channel.name)}",
            "name": channel.quantity or channel.name,
            "state_topic": self.state_topic(eui, channel.name),
            **_measured(kind(channel.unit)),
            "expire_after": EXPIRE_AFTER_S,
        }

    def _figure(self, name: str, *, number: bool) -> dict[str, object]:
        return {
            "platform": "sensor",
            "unique_id": f"{self._gateway}_{_identifier(name)}",
            "name": name,
            "state_topic": f"{self._topic}/health",
            "value_template": f"{{{{ value_json['{name}'] }}}}",
            **(_measured(_SUFFIXES.get(name.rpartition("_")[2], Kind())) if number else {}),
            "entity_category": "diagnostic",
            "expire_after": HEALTH_EXPIRE_AFTER_S,
        }

    def _config(self, own: str, device: object, components: object) -> Message:
        config = {
            "device": device,
            "origin": {"name": "lilong"},
            "availability": [{"topic": f"{self._topic}/status"}],
            "qos": 1,
            "components": components,
        }
        payload = json_text.encode(config)
        return Message(self._config_topic(own), payload, json_text.TYPE, retain=True)

    def _config_topic(self, own: str) -> str:
        return f"{self._prefix}/device/{own}/config"


def _identifier(name: str) -> str:
    """Return a name in the letters that identifiers may have, no two the same."""
    return re.sub(r"[^A-Za-z0-9_]", lambda found: f"-{ord(found[0]):02x}-", name)


def _measured(found: Kind) -> dict[str, object]:
    options: dict[str, object] = {}
    if found.device_class:
        options["device_class"] = found.device_class
    if found.unit:
        options["unit_of_measurement"] = found.unit
    if found.device_class not in _TOTALS:
        options["state_class"] = "measurement"
    return options
