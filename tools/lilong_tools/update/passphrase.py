"""Where a passphrase comes from: the environment or a person, never an argument."""

import getpass
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from lilong_tools.errors import UpdateError

VARIABLE = "LILONG_UPDATE_PASSPHRASE"


class Passphrase:
    """The passphrase of a private key."""

    def __init__(self, environment: Mapping[str, str], *, may_ask: bool) -> None:
        self._given = os.fsencode(environment.get(VARIABLE, ""))
        self._may_ask = may_ask

    def known(self, path: Path) -> bytes:
        """Give the one of a key that has one; UpdateError when there is nobody to ask."""
        return self._given or self._asked(f"Passphrase of {path}: ")

    def chosen(self, path: Path, *, wanted: bool) -> bytes | None:
        """Give one for a new key; None when the variable is unset and none is wanted."""
        if self._given or not wanted:
            return self._given or None
        first = self._asked(f"New passphrase of {path}: ")
        if not first:
            raise UpdateError("an empty passphrase protects nothing", "give one, or ask for none")
        if self._asked("The same again: ") != first:
            raise UpdateError("the two passphrases differ", "try again")
        return first

    def _asked(self, prompt: str) -> bytes:
        if not self._may_ask:
            problem = "a passphrase is needed and there is no terminal to ask at"
            raise UpdateError(problem, f"put it into the environment variable {VARIABLE}")
        return os.fsencode(getpass.getpass(prompt))


def system_passphrase() -> Passphrase:
    """Give the one of this process."""
    return Passphrase(os.environ, may_ask=sys.stdin is not None and sys.stdin.isatty())
