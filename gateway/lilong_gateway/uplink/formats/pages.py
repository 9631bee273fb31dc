"""Entries of devices put together into messages that stay below a platform's limits."""

from collections.abc import Iterable, Iterator
from itertools import islice

from lilong_gateway.uplink.formats.moments import Values

Page = dict[str, list[str]]
"""JSON texts by device, each in the order in which it was given."""

_VALUES_TOGETHER = 64
"""Below 8 KiB with the longest names (32 letters) and numbers (44 digits)."""


def pages(
    entries: Iterable[tuple[str, str]], limit: int, device_bytes: int, devices: int
) -> Iterator[Page]:
    """Yield pages of (device, text) entries, each below limit bytes when written.

    device_bytes is what a device costs beside its name and its texts, with the frame of the
    message for the first one; devices is how many may be in a message.
    """
    page: Page = {}
    size = 0
    for device, text in entries:
        cost = len(text) + 1
        opening = len(device) + device_bytes
        full = size + cost + (0 if device in page else opening) > limit
        if page and (full or (device not in page and len(page) == devices)):
            yield page
            page, size = {}, 0
        size += cost + (0 if device in page else opening)
        page.setdefault(device, []).append(text)
    if page:
        yield page


def slices(values: Values) -> Iterator[Values]:
    """Yield values in groups of which each fits a message."""
    rest = iter(values.items())
    while group := dict(islice(rest, _VALUES_TOGETHER)):
        yield group
