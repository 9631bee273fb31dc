"""Huawei Cloud IoTDA: properties of child devices, reported by their gateway over MQTT.

support.huaweicloud.com/intl/en-us/api-iothub/iot_06_v5_3006.html (at most 100 child devices a
message; an event_time that is missing or malformed makes the platform take its own, so every
entry has one, in the form with milliseconds), .../iot_06_v5_3010.html (the gateway's own
properties), .../usermanual-iothub/iot_01_0128.html (at most 1 MB a message). Alarms are properties
too: the platform documents events of its own services only (.../iot_06_v5_3022.html), and a
product model has none.

A node is the child device whose device id is its EUI; its product model names a service and, as
its properties, the node's channels.
"""

from collections.abc import Iterator, Sequence

from lilong_gateway.senml import Telemetry
from lilong_gateway.uplink.formats import json_text
from lilong_gateway.uplink.formats.deaf import Deaf
from lilong_gateway.uplink.formats.moments import Values, iso, milliseconds, moments
from lilong_gateway.uplink.formats.pages import Page, pages, slices
from lilong_gateway.uplink.message import Figures, Message

SERVICE = "lilong"
"""The service of the product model that holds the properties."""

_BATCHES = 100
_DEVICES = 100
_BYTES = 64 * 1024
_DEVICE_BYTES = len('{"devices":[{"device_id":"","services":[]},]}')


class IoTDA(Deaf):
    """The format iotda; device is the id that the platform gave to this gateway."""

    status_topic: str | None = None
    batch_limit = _BATCHES

    def __init__(self, device: str, service: str = SERVICE) -> None:
        self._own = f"$oc/devices/{device}/sys/properties/report"
        self._topic = f"$oc/devices/{device}/sys/gateway/sub_devices/properties/report"
        self._service = service

    def messages(self, batches: Sequence[Telemetry]) -> Sequence[Message]:
        """Return as few messages as hold all."""
        entries = ((batch.eui.hex(), text) for batch in batches for text in self._entries(batch))
        return [
            Message(self._topic, _payload(page), json_text.TYPE)
            for page in pages(entries, _BYTES, _DEVICE_BYTES, _DEVICES)
        ]

    def health(self, figures: Figures, unix_ms: int) -> Sequence[Message]:
        """Return the gateway's own properties."""
        entry = self._entry(json_text.known(figures), unix_ms)
        return [Message(self._own, f'{{"services":[{entry}]}}'.encode(), json_text.TYPE)]

    def _entries(self, batch: Telemetry) -> Iterator[str]:
        for time, values in moments(batch):
            for group in slices(values):
                yield self._entry(group, milliseconds(time))

    def _entry(self, properties: Values | dict[str, float | str], unix_ms: int) -> str:
        return json_text.write(
            {
                "service_id": self._service,
                "properties": properties,
                "event_time": iso(unix_ms),
            }
        )


def _payload(page: Page) -> bytes:
    devices = (
        f'{{"device_id":{json_text.write(name)},"services":[{",".join(texts)}]}}'
        for name, texts in page.items()
    )
    return ('{"devices":[' + ",".join(devices) + "]}").encode()
