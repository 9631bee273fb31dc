"""What a rule decided last, and why."""


class Decision:
    """The part that all rules have alike; lilong_protocol.rules says what it means."""

    def __init__(self) -> None:
        self.raised = False
        self.since_ms: int | None = None
        self.decided_ms: int | None = None
        self.value: int | None = None
        self.value_ms: int | None = None
        self.limit: int | None = None
        self.reference: int | None = None
