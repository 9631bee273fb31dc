"""A physical value over time, as a bench's file gives it."""


class Curve:
    """A number, or [seconds, value] points in order; before the first, after the last it rests."""

    def __init__(self, points: "object") -> None:
        self._points = points if isinstance(points, list) else [[0, points]]

    def at(self, now_s: float) -> float:
        """Return the value, straight from point to point."""
        before = self._points[0]
        for point in self._points:
            if point[0] > now_s:
                if before[0] >= now_s:
                    return before[1]
                share = (now_s - before[0]) / (point[0] - before[0])
                return before[1] + share * (point[1] - before[1])
            before = point
        return before[1]

    def step(self, now_s: float) -> "object":
        """Return the value of the last point that was reached."""
        value = self._points[0][1]
        for point in self._points:
            if point[0] <= now_s:
                value = point[1]
        return value
