"""A store as it is, from beside the gateway that uses it: nothing is written."""

import sqlite3
from pathlib import Path

from lilong_gateway.config_store import Storage
from lilong_gateway.errors import StoreUnavailableError
from lilong_gateway.health.pulse import Pulse
from lilong_gateway.store import schema
from lilong_gateway.store.classes import Classes
from lilong_gateway.store.database import Database, as_text, translated
from lilong_gateway.store.limits import Limits
from lilong_gateway.store.memory import Memory


class View(Database):
    """Open for reading; each read ends at once, so that the gateway's log need not wait for it."""

    def __init__(self, file: Path, max_bytes: int = Storage.max_bytes) -> None:
        """StoreError; StoreUnavailableError while there is no store of this gateway's schema."""
        self.file = file
        self.log = file.with_name(f"{file.name}-wal")
        self.repair = Pulse()
        self.kept_free = 0
        self.classes = Classes()
        self.memory = Memory()
        if not file.exists():
            problem = f"{file}: there is no store yet; the gateway makes it when it starts"
            raise StoreUnavailableError(problem)
        with translated(file):
            address = f"{file.resolve().as_uri()}?mode=ro"
            self.connection = sqlite3.connect(address, uri=True, isolation_level=None, timeout=5.0)
            self.connection.text_factory = as_text
            try:
                self.store_id = schema.recognise(self.connection)
                self.unsummed = schema.unsummed(self.connection)
                self.limits = Limits(max_bytes, self.number("page_size"))
            except BaseException:
                self.connection.close()
                raise
