"""Visits to the nodes on BLE: which node next by which adapter, and what to do for a sick one."""
