"""Everything this package raises.

FirmwareError
├── SettingsError(key, problem)   a person must correct settings.json or key.bin
├── SensorError(name, problem)    this reading is missing; the next may succeed
│   ├── RowError                  this row of a recording is unusable; the next may be fine
│   ├── AbsentError               nobody answers: look at wires, address and supply
│   ├── DamagedError              what it says is damaged: look at wires and pull-ups
│   ├── NonsenseError             it says itself that its value is none, or it cannot be
│   └── WarmingError              it needs more time after it was switched on
├── RefusedError(problem)         a gateway asks for what must not be; tell it why
└── StorageError(problem)         flash refused; go on without it, and count
    └── JournalFullError          all that is held is more urgent than what came
"""


class FirmwareError(Exception):
    """The root of the tree."""


class SettingsError(FirmwareError):
    """A setting is absent or unusable. `key` names it, `problem` says what to do."""

    def __init__(self, key: str, problem: str) -> None:
        super().__init__(key + ": " + problem)
        self.key = key
        self.problem = problem


class SensorError(FirmwareError):
    """A sensor gave no usable reading."""

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(name + ": " + problem)
        self.name = name
        self.problem = problem


class RowError(SensorError):
    """A row of a recording is malformed."""


class AbsentError(SensorError):
    """A sensor does not answer."""


class DamagedError(SensorError):
    """What a sensor says has a wrong check sum or form."""


class NonsenseError(SensorError):
    """What a sensor measures is outside of what it can measure."""


class WarmingError(SensorError):
    """A sensor is not ready yet."""


class RefusedError(FirmwareError):
    """What a gateway asks for must not be done; the text is the answer."""


class StorageError(FirmwareError):
    """The file system failed or refused an operation."""


class JournalFullError(StorageError):
    """Nothing that may go is left in the journal."""
