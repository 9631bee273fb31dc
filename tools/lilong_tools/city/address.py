"""Where a broker is: HOST:PORT."""

from dataclasses import dataclass

from lilong_tools.errors import ToolError

HIGHEST_PORT = 65_535


@dataclass(frozen=True, slots=True)
class Address:
    """A host name or address, and a TCP port."""

    host: str
    port: int

    def __str__(self) -> str:
        """Write it as HOST:PORT, an IPv6 address in brackets."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str) -> Address:
    """Read HOST, HOST:PORT or [IPV6]:PORT, port 1883 when none is given; raise ToolError."""
    host, port = _split(text)
    if not host or not port.isascii() or not port.isdigit() or not 0 < int(port) <= HIGHEST_PORT:
        raise ToolError(
            f"--broker {text!r} is not an address", "write HOST:PORT, for example 127.0.0.1:1883"
        )
    return Address(host, int(port))


def _split(text: str) -> tuple[str, str]:
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        return host, rest.removeprefix(":") or "1883"
    host, colon, port = text.rpartition(":")
    return (host, port) if colon else (text, "1883")
