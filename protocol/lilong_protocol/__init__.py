"""The wire protocol of Lilong: bytes in, events out, on CPython and MicroPython alike."""
