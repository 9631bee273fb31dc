"""What the node runs after its reset."""

import gc

# Garbage goes before the heap grows or falls to pieces: a chip gives grown heap back to nobody.
gc.threshold(32768)

from loader import Loader  # noqa: E402 - the imports are what makes most garbage

Loader().run()
