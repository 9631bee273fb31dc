"""The settings of the page that tells of the gateway's health."""

import ipaddress
from dataclasses import dataclass

from lilong_gateway.config_table import Table

_PORT_LIMIT = 65_535


@dataclass(frozen=True)
class Http:
    """Where /healthz, /metrics and the page are served; a source silent for quiet_s is quiet."""

    host: str = "127.0.0.1"
    port: int = 9464
    quiet_s: int = 900


def read_http(root: Table) -> Http | None:
    """Return the table [http]; without it nothing is served."""
    if "http" not in root.keys:
        return None
    table = root.table("http", list(Http.__dataclass_fields__))
    host = table.text("host", Http.host)
    try:
        ipaddress.ip_address(host)
    except ValueError:
        problem = f'"{host}" must be an address of this machine, such as "127.0.0.1" or "::1"'
        raise table.error("host", problem) from None
    return Http(
        host,
        table.whole("port", Http.port, 1, _PORT_LIMIT),
        table.whole("quiet_s", Http.quiet_s, 10, 30 * 86_400),
    )
