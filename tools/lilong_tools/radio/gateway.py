"""The gateway on virtual adapters: its own main program, with a bleak that knows no others.

    python -m lilong_tools.radio.gateway --adapter hci0=tcp-client:127.0.0.1:9001 -- \
        run --config gateway.toml
"""

import argparse
import sys
from collections.abc import Sequence

from lilong_gateway.__main__ import main as gateway_main
from lilong_tools.radio.adapter import BLUEZ_INTERVALS_MS
from lilong_tools.radio.backend import install


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the gateway's command line; return its exit status."""
    given = _parser().parse_args(arguments)
    shortest, longest = given.interval_ms
    fleet = install(dict(given.adapter), (shortest, longest))
    rest = given.rest[1:] if given.rest[:1] == ["--"] else given.rest
    return gateway_main(rest, recover=fleet.recover)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m lilong_tools.radio.gateway", description="The gateway on virtual adapters."
    )
    parser.add_argument(
        "--adapter",
        type=_adapter,
        action="append",
        required=True,
        metavar="NAME=TRANSPORT",
        help="an adapter and where its HCI is, such as hci0=tcp-client:127.0.0.1:9001",
    )
    parser.add_argument(
        "--interval-ms",
        type=float,
        nargs=2,
        default=BLUEZ_INTERVALS_MS,
        metavar=("SHORTEST", "LONGEST"),
        help="the connection intervals to ask for (30 50, as BlueZ)",
    )
    parser.add_argument("rest", nargs=argparse.REMAINDER, help="the gateway's own arguments")
    return parser


def _adapter(text: str) -> tuple[str, str]:
    name, equals, transport = text.partition("=")
    if not (name and equals and transport):
        raise argparse.ArgumentTypeError(f"{text} is not NAME=TRANSPORT")
    return name, transport


if __name__ == "__main__":
    sys.exit(main())
