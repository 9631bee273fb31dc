"""The store: what the gateway has accepted, on disk before it is acknowledged."""
