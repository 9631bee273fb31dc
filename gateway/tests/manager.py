"""The least of a service manager: it starts a program, listens to it, and starts it anew."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

_LISTEN_S = 0.05


class Manager:
    """Runs a gateway as systemd does with Type=notify, Restart=always and WatchdogSec."""

    def __init__(self, folder: Path, watchdog_s: float, *arguments: str) -> None:
        self.said: list[str] = []
        self.killed = 0
        self.starts = 0
        self.log = folder / "log"
        self.process: subprocess.Popen[bytes] | None = None
        self._arguments = arguments
        self._watchdog_s = watchdog_s
        self._address = str(folder / "notify")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self._address)
        self._socket.settimeout(_LISTEN_S)
        self._watched_s: float | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Keep it running from now on."""
        self._thread.start()

    def end(self) -> None:
        """Leave nothing behind."""
        self._ended.set()
        self._thread.join()
        if self.process is not None:
            self.process.kill()
            self.process.wait()
        self._socket.close()

    def _run(self) -> None:
        while not self._ended.is_set():
            if self.process is None or self.process.poll() is not None:
                self._begin()
            self._listen()
            if self._watched_s is not None and time.monotonic() > self._watched_s:
                self.killed += 1
                self.process.send_signal(signal.SIGABRT)
                self.process.wait()

    def _begin(self) -> None:
        environment = dict(os.environ, NOTIFY_SOCKET=self._address)
        environment["WATCHDOG_USEC"] = str(round(self._watchdog_s * 1e6))
        self._watched_s = None
        self.starts += 1
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, *self._arguments], env=environment, stderr=log
            )

    def _listen(self) -> None:
        try:
            words = self._socket.recv(4096).decode()
        except TimeoutError:
            return
        self.said.append(words)
        if words in {"READY=1", "WATCHDOG=1"}:
            self._watched_s = time.monotonic() + self._watchdog_s
