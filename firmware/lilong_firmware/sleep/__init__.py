"""A node that sleeps between its readings: what it keeps, when it wakes, what it does then."""
