"""ThingsBoard's Gateway MQTT API.

thingsboard.io/docs/reference/gateway-api/overview and .../gateway-api/telemetry: a device is
announced on v1/gateway/connect before its telemetry; a time that is missing makes the server take
its own, so none is. A node is the device named by its EUI. What is sent twice is stored once: the
server keeps one value for a device, key and time.
"""

from collections.abc import Iterator, Sequence

from lilong_gateway.senml import Telemetry
from lilong_gateway.uplink.formats import json_text
from lilong_gateway.uplink.formats.deaf import Deaf
from lilong_gateway.uplink.formats.moments import milliseconds, moments
from lilong_gateway.uplink.formats.pages import Page, pages, slices
from lilong_gateway.uplink.message import Figures, Message

PAYLOAD_BYTES = 8196
"""The default maxPayloadSizeBytes of ThingsBoard's own gateway."""

_BATCHES = 64
_DEVICE_BYTES = len('{"":[],}')
_DEVICES = 1000


class ThingsBoard(Deaf):
    """The format thingsboard; device names the gateway, "": it is what is logged in."""

    status_topic: str | None = None
    batch_limit = _BATCHES

    def __init__(self, device: str) -> None:
        self._device = device
        self._connected: set[str] = set()

    def begin(self) -> Sequence[Message]:
        """Nothing; devices are announced with their first telemetry."""
        self._connected.clear()
        return ()

    def messages(self, batches: Sequence[Telemetry]) -> Sequence[Message]:
        """Return the devices that are new to this connection, then as few messages as hold all."""
        names = dict.fromkeys(batch.eui.hex() for batch in batches)
        found = [message for name in names for message in self._connect(name, "lilong-node")]
        entries = ((batch.eui.hex(), text) for batch in batches for text in _entries(batch))
        found += [
            Message("v1/gateway/telemetry", _payload(page), json_text.TYPE)
            for page in pages(entries, PAYLOAD_BYTES, _DEVICE_BYTES, _DEVICES)
        ]
        return found

    def health(self, figures: Figures, unix_ms: int) -> Sequence[Message]:
        """Return the gateway's own telemetry."""
        entry = json_text.write({"ts": unix_ms, "values": json_text.known(figures)})
        if not self._device:
            return [Message("v1/devices/me/telemetry", entry.encode(), json_text.TYPE)]
        payload = _payload({self._device: [entry]})
        return [
            *self._connect(self._device, "lilong-gateway"),
            Message("v1/gateway/telemetry", payload, json_text.TYPE),
        ]

    def _connect(self, device: str, kind: str) -> list[Message]:
        if device in self._connected:
            return []
        self._connected.add(device)
        payload = json_text.encode({"device": device, "type": kind})
        return [Message("v1/gateway/connect", payload, json_text.TYPE)]


def _entries(batch: Telemetry) -> Iterator[str]:
    for time, values in moments(batch):
        for group in slices(values):
            yield json_text.write({"ts": milliseconds(time), "values": group})


def _payload(page: Page) -> bytes:
    devices = (f"{json_text.write(name)}:[{','.join(texts)}]" for name, texts in page.items())
    return ("{" + ",".join(devices) + "}").encode()
