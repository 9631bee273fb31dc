"""Updates of the nodes: made, signed and checked (docs/update.md)."""
