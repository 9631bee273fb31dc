"""Words that a campaign and the gateway it holds understand alike."""

UNSET = "unset"
"""The clock of a machine that was never told the time."""

REACHED = "chaos: killed at"

WRONG = (
    *("acknowledge_early", "drop", "double", "alter", "misdate", "disorder", "hang", "give_up"),
)
"""What a gateway can do wrong on purpose; each is a function of wrong.py."""
