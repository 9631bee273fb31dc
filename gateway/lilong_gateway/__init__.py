"""The Lilong edge gateway: links -> sessions -> store -> uplink."""
