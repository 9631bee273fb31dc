# ruff: noqa: F821 - include, package and module are words of MicroPython's manifests
"""What is frozen into the image of an ESP32; give it to the port's build as FROZEN_MANIFEST."""

include("$(PORT_DIR)/boards/manifest.py")
package("lilong_protocol", base_path="../protocol", opt=3)
package("lilong_firmware", base_path=".", opt=3)
module("bootstate.py", base_path=".", opt=3)
module("loader.py", base_path=".", opt=3)
module("main.py", base_path=".", opt=3)
