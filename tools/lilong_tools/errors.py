"""The errors of the tools: each is one sentence for a person.

ToolError(problem, advice)
├── ProgramMissingError     a program that the tools run is neither here nor to be fetched
├── NodeSettingsError       a virtual node cannot be made from what was given
├── NodeFailedError         a virtual node ended otherwise than it was asked to
└── UpdateError             an update cannot be made, signed or read
"""


class ToolError(Exception):
    """What is wrong and where (`problem`), and what to do about it (`advice`)."""

    def __init__(self, problem: str, advice: str) -> None:
        super().__init__(f"{problem}: {advice}")
        self.problem = problem
        self.advice = advice


class ProgramMissingError(ToolError):
    """A program is neither on this machine nor to be fetched: install it, or connect once."""


class NodeSettingsError(ToolError):
    """A virtual node cannot be made from what was given: correct the call."""


class NodeFailedError(ToolError):
    """A virtual node ended otherwise than it was asked to: read its log."""


class UpdateError(ToolError):
    """An update, or a key to sign it with, cannot be made or read: correct what was given."""
