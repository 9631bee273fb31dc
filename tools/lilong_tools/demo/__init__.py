"""The demonstration: real nodes, a gateway, a broker and a city, and the proof that all arrived.

`plan` and `replay` say what to start, `stage` keeps it running, `show` leads from start to end,
`trace` reads what the nodes took, `ledger` compares it with what the city holds, `screen` and
`report` tell.
"""
