"""The virtual radio: Bluetooth LE between nodes and gateways without a radio.

One `Air` joins virtual controllers (Bumble's, with their faults mended) by a model of the real
radio: connection events, lost packets, silent links. Programs reach their adapters over sockets,
and bleak finds them through a backend of its own; nothing of it needs a kernel or root.
"""
