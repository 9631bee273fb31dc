"""The time of readings that were taken before their node knew the time."""

SYNCED = "synced"
"""The readings carry absolute times."""
RESTAMPED = "restamped"
"""The time of their boot is known."""
BOUNDED = "bounded"
"""Not later than what is given; the true time is lost."""
DATED = (RESTAMPED, BOUNDED)
PENDING = "pending"
"""Nothing to go by yet, as the gateway's own clock is not set."""


def resolve(
    epoch_ms: int | None, present_ms: int | None, received_ms: int | None, last_ms: int
) -> tuple[str, int | None]:
    """Return quality and the time of uptime 0, for a batch whose latest reading is at last_ms.

    epoch_ms is the time of uptime 0 of the batch's own boot, present_ms that of the node's
    present boot if it is another one; each None when not known.
    """
    if epoch_ms is not None:
        return RESTAMPED, epoch_ms
    bound_ms = present_ms if present_ms is not None else received_ms
    if bound_ms is None:
        return PENDING, None
    return BOUNDED, bound_ms - last_ms
