"""Whether the gateway is well, and who is told."""
