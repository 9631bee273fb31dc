"""`lilong bench ble`: real firmware and a gateway of its own process on the virtual radio."""
