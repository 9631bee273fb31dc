"""How many nodes a gateway serves over BLE: its own scheduler of visits, on a modelled radio."""
