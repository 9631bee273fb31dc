"""Who a sink says it is to its broker."""

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from lilong_gateway.config_uplink import Uplink


@dataclass(frozen=True, slots=True)
class Login:
    """What stands in CONNECT."""

    client_id: str
    username: str | None
    password: str | None = field(repr=False)


LoginAt = Callable[[int], Login]
"""Gives the login for a connection that is made at a time, in ms since 1970."""


def login_of(sink: Uplink, client_id: str) -> LoginAt:
    """Return how a sink logs in; client_id is its name where the platform asks for none."""
    if sink.format == "iotda":
        return lambda unix_ms: _iotda(sink, unix_ms)
    return lambda _: Login(client_id, sink.username, sink.password)


def _iotda(sink: Uplink, unix_ms: int) -> Login:
    """Sign the secret with the hour, as the platform asks.

    support.huaweicloud.com/intl/en-us/api-iothub/iot_06_v5_3009.html: the client id is the device
    id, 0 (a device), 0 (the hour is not checked against the platform's clock) and the hour in UTC;
    the password is the HMAC-SHA256 of the secret, the hour being the key. With a certificate
    there is no secret.
    """
    hour = f"{datetime.fromtimestamp(unix_ms / 1000, UTC):%Y%m%d%H}"
    password = None
    if sink.password is not None:
        password = hmac.new(hour.encode(), sink.password.encode(), hashlib.sha256).hexdigest()
    return Login(f"{sink.device}_0_0_{hour}", sink.username or sink.device, password)
