"""Real sensors: the buses they hang on, and what runs their drivers."""
