"""Which updates a node takes."""


def device_class(platform: str, machine: str) -> str:
    """Return the class of a chip, of whose name `machine` ends in "with ESP32S3" and the like.

    `platform` is sys.platform, `machine` sys.implementation._machine. An image is for one kind of
    chip. An application would do for all, and is told apart by the same classes.
    """
    if platform != "esp32":
        return "lilong-unix"
    return "lilong-" + (machine.rpartition(" with ")[2].lower() or platform)
