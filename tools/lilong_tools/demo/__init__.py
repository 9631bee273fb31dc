"""The demonstration: real nodes, a gateway, a broker and a city, and the proof that all arrived.

`plan` says what to start, `supervisor` keeps it running, `trace` and `arrivals` read what the
nodes took and what the city holds, `ledger` compares the two, `screen` shows it.
"""
