"""`lilong city`: run the receiver until told to stop, then print what it measured."""

import argparse
import asyncio
import json
import logging
import re
import signal
import sys
import time
from pathlib import Path

from lilong_tools.city.address import parse_address
from lilong_tools.city.measures import measure, sentences
from lilong_tools.city.receiver import Receiver
from lilong_tools.city.store import CityStore
from lilong_tools.console import positive_seconds


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `lilong city`."""
    parser.add_argument("--broker", required=True, metavar="HOST:PORT", help="the broker")
    parser.add_argument("--db", required=True, type=Path, metavar="FILE", help="the SQLite store")
    parser.add_argument("--prefix", default="lilong", help="first level of every topic")
    parser.add_argument("--site", type=_site, help="receive this site only (default: all)")
    parser.add_argument(
        "--json", action="store_true", help="print the measures as one JSON object"
    )
    parser.add_argument(
        "--seconds", type=positive_seconds, metavar="S", help="end after S seconds"
    )
    parser.add_argument(
        "--once-idle",
        type=positive_seconds,
        metavar="S",
        help="end when nothing came for S seconds",
    )
    parser.add_argument(
        "--forget",
        action="store_true",
        help="at the end let the broker forget the session and the state of the gateways heard",
    )


def _site(text: str) -> str:
    """Read the name of a site; a wildcard or a slash would take in others."""
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,40}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not the name of a site")
    return text


def run(options: argparse.Namespace) -> int:
    """Receive, then print the measures; raise ToolError."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s city: %(message)s")
    broker = parse_address(options.broker)
    store = CityStore(options.db)
    receiver = Receiver(
        store, broker, options.prefix, options.site or "+", logging.getLogger("city")
    )
    try:
        asyncio.run(_serve(receiver, options))
    finally:
        receiver.close()
        store.close()
    measures = measure(options.db)
    text = json.dumps(measures.as_dict()) if options.json else "\n".join(sentences(measures))
    sys.stdout.write(text + "\n")
    return 0


async def _serve(receiver: Receiver, options: argparse.Namespace) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    work = asyncio.create_task(receiver.run())
    ends = asyncio.create_task(_until(stop, receiver, options))
    done, _ = await asyncio.wait((work, ends), return_when=asyncio.FIRST_COMPLETED)
    for task in (work, ends):
        task.cancel()
    await asyncio.wait((work, ends))
    for task in done:
        task.result()
    if options.forget:
        await receiver.forget()


async def _until(stop: asyncio.Event, receiver: Receiver, options: argparse.Namespace) -> None:
    """Return when a signal came, the time is over, or nothing came for long enough."""
    began = time.monotonic()
    while not stop.is_set():
        now = time.monotonic()
        if options.seconds and now - began >= options.seconds:
            return
        if options.once_idle and now - receiver.last_arrival_s >= options.once_idle:
            return
        try:
            await asyncio.wait_for(stop.wait(), 0.1)
        except TimeoutError:
            continue
