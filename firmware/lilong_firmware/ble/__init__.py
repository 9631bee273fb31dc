"""The link by Bluetooth Low Energy; only nodes with that setting load it."""
