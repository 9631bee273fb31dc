"""One thing that a driver measures."""


class Quantity:
    """value * 10**exponent in `unit` (SenML, RFC 8428); beyond lowest and highest is nonsense.

    `lowest` and `highest` are scaled as the values are.
    """

    def __init__(self, name: str, unit: str, exponent: int, lowest: int, highest: int) -> None:
        self.name = name
        self.unit = unit
        self.exponent = exponent
        self.lowest = lowest
        self.highest = highest
