"""Everything this package raises.

FirmwareError
├── SettingsError(key, problem)   a person must correct settings.json or key.bin
├── SensorError(name, problem)    this reading is missing; the next may succeed
│   └── RowError                  this row of a recording is unusable; the next may be fine
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


class RefusedError(FirmwareError):
    """What a gateway asks for must not be done; the text is the answer."""


class StorageError(FirmwareError):
    """The file system failed or refused an operation."""


class JournalFullError(StorageError):
    """Nothing that may go is left in the journal."""
