import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from lilong_gateway.health.notify import Notifier


class Manager:
    """A service manager's end: a real datagram socket."""

    def __init__(self, address: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.settimeout(10)
        self._socket.bind(address)

    def heard(self) -> str:
        return self._socket.recv(4096).decode()

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    end = Manager(str(tmp_path / "notify"))
    yield end
    end.close()


def test_all_is_told_in_the_words_of_sd_notify(manager: Manager, tmp_path: Path) -> None:
    notifier = Notifier(str(tmp_path / "notify"), 20.0)
    notifier.starting(30.0)
    notifier.ready()
    notifier.status("healthy:\nall   well")
    notifier.beat()
    notifier.stopping()
    notifier.close()
    assert [manager.heard() for _ in range(5)] == [
        "EXTEND_TIMEOUT_USEC=30000000",
        "READY=1",
        "STATUS=healthy: all well",
        "WATCHDOG=1",
        "STOPPING=1",
    ]


def test_an_abstract_socket_is_reached_too() -> None:
    name = f"lilong-test-{os.getpid()}"
    manager = Manager(f"\0{name}")
    notifier = Notifier(f"@{name}")
    notifier.ready()
    assert manager.heard() == "READY=1"
    notifier.close()
    manager.close()


def test_the_variables_are_taken_out_so_that_no_child_speaks_for_us() -> None:
    own = str(os.getpid())
    environment = {"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": "20000000", "WATCHDOG_PID": own}
    environment["PATH"] = "/bin"
    assert Notifier.from_environment(environment).watchdog_s == 20.0
    assert environment == {"PATH": "/bin"}


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"WATCHDOG_USEC": "20000000", "WATCHDOG_PID": "1"},
        {"WATCHDOG_USEC": "soon"},
        {"WATCHDOG_USEC": "0"},
        {"WATCHDOG_USEC": "-5"},
    ],
)
def test_no_watchdog_is_believed_in_that_is_not_ours(environment: dict[str, str]) -> None:
    assert Notifier.from_environment(environment).watchdog_s is None


def test_without_a_watchdog_nothing_beats(manager: Manager, tmp_path: Path) -> None:
    notifier = Notifier(str(tmp_path / "notify"))
    notifier.beat()
    notifier.ready()
    assert manager.heard() == "READY=1"
    notifier.close()


def test_a_manager_that_is_gone_or_does_not_read_holds_nothing_up(
    manager: Manager, tmp_path: Path
) -> None:
    notifier = Notifier(str(tmp_path / "notify"), 1.0)
    for _ in range(5000):
        notifier.beat()
    (tmp_path / "notify").unlink()
    notifier.beat()
    notifier.close()
    absent = Notifier("vsock:2:1", 1.0)
    absent.beat()
    absent.close()
