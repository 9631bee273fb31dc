"""What goes through one store again and again, and remembers where it is."""

import random

from lilong_gateway.config_store import Storage
from lilong_gateway.store.database import Database
from lilong_gateway.store.expiry import Expired, Expiry
from lilong_gateway.store.patrol import Ages, Patrol


class Keeper:
    """Of one open store; another one begins with another keeper."""

    def __init__(self, storage: Storage) -> None:
        self._expiry = Expiry(storage.keep_s, random.SystemRandom().randrange)
        self._patrol = Patrol()

    @property
    def oldest_ms(self) -> Ages:
        """When the oldest batch of each class came, as of the last round."""
        return self._patrol.oldest_ms

    def expire(self, database: Database, now_ms: int) -> Expired:
        """Delete some of what is older than its class may be; StoreError."""
        return self._expiry.step(database, now_ms)

    def patrol(self, database: Database, limit: int) -> bool:
        """Look through some batches; False: the round is done. StoreError."""
        more = self._patrol.step(database, limit)
        if self._patrol.classed is not None:
            self._expiry.classed_late(self._patrol.classed)
            self._patrol.classed = None
        return more
