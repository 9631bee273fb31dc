"""Takes back the memory of code that is not needed any more."""

import sys


def unload(*names: str) -> None:
    """Forget these modules; an import loads them again.

    Their memory comes back as soon as nothing else refers to any of their functions, classes or
    objects of these.
    """
    for name in names:
        package, _, stem = name.rpartition(".")
        if sys.modules.pop(name, None) is not None:
            delattr(sys.modules[package], stem)
