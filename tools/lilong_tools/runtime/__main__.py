"""`python -m lilong_tools.runtime [program...]`: make the programs ready, print their paths."""

import argparse
import logging
import sys
from collections.abc import Sequence

from lilong_tools.errors import ToolError
from lilong_tools.runtime.finder import find
from lilong_tools.runtime.program import program_names


def main(arguments: Sequence[str] | None = None) -> int:
    """Print one path a line; 1 with one sentence on standard error when one is missing."""
    parser = argparse.ArgumentParser(prog="python -m lilong_tools.runtime", description=__doc__)
    names = program_names()
    parser.add_argument("program", nargs="*", metavar="program", help=" | ".join(names))
    wanted = parser.parse_args(arguments).program or names[:1]
    if unknown := [name for name in wanted if name not in names]:
        parser.error(f"unknown program {unknown[0]}: choose from {', '.join(names)}")
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(message)s")
    try:
        for name in wanted:
            sys.stdout.write(f"{find(name)}\n")
            sys.stdout.flush()
    except ToolError as error:
        sys.stderr.write(f"{error}.\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
