"""The node: sensors to batches, batches to flash, flash to a gateway."""
