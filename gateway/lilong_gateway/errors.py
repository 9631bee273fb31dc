"""The gateway's errors. The type says what to do; the text is for people: what, where, advice.

GatewayError
├── ConfigError              stop; a person corrects the file (exit status 2)
├── UnusableFileError        use no such file; a person replaces it
├── LinkError
│   ├── LinkMissingError     wait, then look again
│   ├── LinkBusyError        wait; somebody else holds the port
│   ├── LinkLostError        open it again
│   └── LinkRefusedError     a person must act (permission, address); look again slowly
├── StoreError
│   ├── StoreFullError       acknowledge nothing; try again
│   ├── StoreDamagedError    move the file aside; start a new store
│   ├── StoreReplacedError   begin again with the new store's id and cursor
│   └── StoreUnavailableError    a person must act (permission, mount, second gateway)
├── RadioStuckError          no adapter works, nor anything else: end; start again from nothing
└── UplinkError
    ├── UplinkLostError      keep storing; connect again
    └── UplinkRefusedError   keep storing; a person must act; connect again slowly
"""


class GatewayError(Exception):
    """Anything the gateway raises on purpose."""


class ConfigError(GatewayError):
    """A configuration that cannot be used: file, line (0: none), key ("" for none), problem."""

    def __init__(self, file: str, line: int, key: str, problem: str) -> None:
        self.file = file
        self.line = line
        self.key = key
        self.problem = problem
        place = f"{file}:{line}" if line else file
        super().__init__(f"{place}: {key}: {problem}" if key else f"{place}: {problem}")


class UnusableFileError(GatewayError):
    """A bundle or a configuration that no node can take: what is wrong where, and what to do."""

    def __init__(self, problem: str, advice: str) -> None:
        super().__init__(f"{problem}; {advice}")
        self.problem = problem
        self.advice = advice


class LinkError(GatewayError):
    """Something about one port."""

    def __init__(self, port: str, problem: str) -> None:
        self.port = port
        self.problem = problem
        super().__init__(f"{port}: {problem}")


class LinkMissingError(LinkError):
    """The port is not there."""


class LinkBusyError(LinkError):
    """Another process holds the port."""

    def __init__(self, port: str, problem: str, holder: str = "") -> None:
        super().__init__(port, problem)
        self.holder = holder


class LinkLostError(LinkError):
    """The port was open and is gone."""


class LinkRefusedError(LinkError):
    """The system does not let us use the port."""


class RadioStuckError(GatewayError):
    """All that can be done for the adapters from within was done, in vain."""


class StoreError(GatewayError):
    """The store could not do what was asked; nothing of it was done."""


class StoreFullError(StoreError):
    """No room on the disk, or under the cap; alarms_only: there still is some for alarms."""

    def __init__(self, problem: str = "", *, alarms_only: bool = False) -> None:
        super().__init__(problem)
        self.alarms_only = alarms_only


class StoreDamagedError(StoreError):
    """The database file is not sound."""


class StoreReplacedError(StoreError):
    """The store that positions refer to was damaged and put aside."""


class StoreUnavailableError(StoreError):
    """The data folder or file cannot be read or written."""


class UplinkError(GatewayError):
    """Something about the broker."""


class UplinkLostError(UplinkError):
    """The broker cannot be reached, or went silent; reached tells that there is one."""

    def __init__(self, problem: str, *, reached: bool = True) -> None:
        super().__init__(problem)
        self.reached = reached


class UplinkRefusedError(UplinkError):
    """The broker answered and said no; version tells that it was about the MQTT version."""

    def __init__(self, problem: str, *, version: bool = False) -> None:
        super().__init__(problem)
        self.version = version
