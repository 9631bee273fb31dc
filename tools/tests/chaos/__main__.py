"""Kills, cuts, damages and fills at random: runs with real parts, and one checker for all.

    python tools/tests/chaos --runs 50 --seed 1 [--jobs 4] [--json]
    python tools/tests/chaos --seed 1 --only 17        one run again
    python tools/tests/chaos --each                    one run of each harm alone
    python tools/tests/chaos --runs 4 --wrong drop     a gateway that is wrong on purpose
    python tools/tests/chaos --suspects --runs 2       all of these, each so many times

Exit status: 0 nothing is wrong, 1 something is, 2 the command line or this machine is.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

from campaign import Campaign
from harms import KINDS
from runs import Order
from words import WRONG

from lilong_tools.errors import ProgramMissingError
from lilong_tools.runtime import find

_ROOM = "LILONG_CHAOS_MOUNTS"


def main():
    given = _arguments()
    mounts = _own_mounts()
    try:
        mosquitto = find("mosquitto")
    except ProgramMissingError as error:
        print(error, file=sys.stderr)
        return 2
    if not mounts:
        print("no mount namespace here: a limit of files stands in for a full disk")
    campaign = Campaign(_orders(given, str(mosquitto), mounts), given.jobs)
    campaign.run()
    campaign.report(as_json=given.json)
    return 0 if all(outcome.faultless for outcome in campaign.outcomes) else 1


def _arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=3 * (os.cpu_count() or 1))
    parser.add_argument("--only", type=int, metavar="K", help="only the run of this number")
    parser.add_argument("--harm", choices=sorted(KINDS), help="do only this, twice in each run")
    parser.add_argument("--each", action="store_true", help="one run for each harm, with it alone")
    parser.add_argument("--wrong", choices=sorted(WRONG), help="try a gateway of known fault")
    parser.add_argument("--suspects", action="store_true", help="all known faults")
    parser.add_argument("--patience", type=float, default=60.0, metavar="S")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep faulty runs there")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def _orders(given, mosquitto, mounts):
    numbers = range(given.runs) if given.only is None else [given.only]
    keep = None if given.keep is None else str(given.keep.resolve())
    shared = {
        "mosquitto": mosquitto,
        "mounts": mounts,
        "patience_s": given.patience,
        "wrong": given.wrong,
        "keep": keep,
    }
    if given.each:
        kinds = sorted(KINDS)
        return [Order(given.seed, at, harm=kind, **shared) for at, kind in enumerate(kinds)]
    if given.suspects:
        return [
            Order(given.seed, number, **shared | _trial(name, given.patience))
            for number in numbers
            for name in WRONG
        ]
    return [Order(given.seed, number, harm=given.harm, **shared) for number in numbers]


def _trial(name, patience_s):
    """Say which harm brings a fault to light, and after how long one that is dead is given up."""
    early, dead = name == "acknowledge_early", name in {"hang", "give_up"}
    return {
        "wrong": name,
        "harm": "kill_gateway" if early else "delay",
        "patience_s": min(8.0, patience_s) if dead else patience_s,
    }


def _own_mounts():
    """Go on in a mount namespace of our own, where one can be had; whether we are in one."""
    if _ROOM in os.environ:
        return os.environ[_ROOM] == "1"
    way = (
        ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--mount", "--map-root-user"]
    )
    probe = [*way, "sh", "-c", "mount -t tmpfs tmpfs /mnt"]
    try:
        possible = subprocess.run(probe, capture_output=True, check=False).returncode == 0
    except OSError:
        possible = False
    os.environ[_ROOM] = "1" if possible else "0"
    if possible:
        os.execvp(way[0], [*way, sys.executable, *sys.argv])  # noqa: S606 - no shell is wanted
    return False


if __name__ == "__main__":
    sys.exit(main())
