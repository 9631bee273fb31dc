"""What the fake bluetoothd is told to do wrong, each a given number of times."""

import enum
from collections import deque
from dataclasses import dataclass, field


class ConnectFault(enum.Enum):
    """How a Connect call goes wrong."""

    BUSY = "answered InProgress"
    ABORTED = "connects, drops the link and answers Failed le-connection-abort-by-local"
    HUNG = "never answered; Disconnect ends it"


@dataclass
class DaemonFaults:
    """The faults to come; each is used up by what it spoils."""

    connects: deque[ConnectFault] = field(default_factory=deque)
    busy_starts: int = 0
    """StartDiscovery calls to be answered InProgress."""
    busy_stops: int = 0
    """StopDiscovery calls to be answered InProgress, with the client's session gone all the same
    (as BlueZ before 5.88 does when the kernel ends its scan at that moment)."""
    lost_notifications: int = 0
    """Notifications that arrive over the air and never on D-Bus."""

    def next_connect(self) -> ConnectFault | None:
        """Take the fault of this Connect call."""
        return self.connects.popleft() if self.connects else None

    def start_is_busy(self) -> bool:
        """Take the fault of this StartDiscovery call."""
        self.busy_starts -= (busy := self.busy_starts > 0)
        return busy

    def stop_is_busy(self) -> bool:
        """Take the fault of this StopDiscovery call."""
        self.busy_stops -= (busy := self.busy_stops > 0)
        return busy

    def notification_is_lost(self) -> bool:
        """Take the fault of this notification."""
        self.lost_notifications -= (lost := self.lost_notifications > 0)
        return lost
