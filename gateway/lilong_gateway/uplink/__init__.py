"""The uplink: store -> MQTT, from where it left off."""
