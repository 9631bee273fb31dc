"""What this firmware calls itself in a HELLO."""

FIRMWARE = "lilong 0.1.0"
