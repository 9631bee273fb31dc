"""When a figure moved last, and how long it has stood still although something waits."""


class Progress:
    """note() it each second or so; times are those of the steady clock."""

    def __init__(self) -> None:
        self.moved_ms: int | None = None
        """When it was last seen to change, None: never."""
        self.stands_ms: int | None = None
        """Since when something waits and it does not change, None: nothing waits."""
        self._figure: int | None = None

    def note(self, figure: int, now_ms: int, *, waiting: bool) -> None:
        """Take what is so now."""
        moved = self._figure is not None and figure != self._figure
        self._figure = figure
        if moved:
            self.moved_ms = now_ms
        if not waiting:
            self.stands_ms = None
        elif moved or self.stands_ms is None:
            self.stands_ms = now_ms
