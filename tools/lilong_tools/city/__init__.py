"""The reference city receiver: what a platform must do to lose nothing, count nothing twice.

`pack` reads SenML, `store` commits it to SQLite, `receipts` names what is durable, `receiver`
speaks MQTT, `measures` says how complete and how late it all was.
"""
