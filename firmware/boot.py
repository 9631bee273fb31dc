"""Takes the place of a boot.py in flash, which would run before the loader and the watchdog."""
