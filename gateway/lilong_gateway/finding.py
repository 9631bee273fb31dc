"""What `lilong-gateway check` has to say: one finding, one line."""

from dataclasses import dataclass

OK = "ok"
WARNING = "warning"
FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Finding:
    """One answer: what was looked at, where, and what to do."""

    what: str
    where: str
    verdict: str
    advice: str
    configuration: bool = False

    def __str__(self) -> str:
        line = f"{self.verdict:8}{self.what:15}{self.where}"
        return f"{line}: {self.advice}" if self.advice else line
