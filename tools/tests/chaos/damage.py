"""Damage to a store file of which no process has it open."""

HARMLESS = {"shm", "wal_tail_garbage"}
"""What destroys nothing that was written: no batch may be missing afterwards."""


def bytes_of_page(store, dice):
    """Overwrite some bytes of one page."""
    size = store.stat().st_size
    if size:
        _overwrite(store, dice.randrange(size), dice.randbytes(dice.randrange(1, 65)))


def page(store, dice):
    """Overwrite a whole page, with noise or zeros."""
    pages = store.stat().st_size // 4096
    if pages:
        content = dice.choice((bytes(4096), dice.randbytes(4096)))
        _overwrite(store, 4096 * dice.randrange(pages), content)


def pages(store, dice):
    """Overwrite some bytes in many places."""
    for _ in range(8):
        bytes_of_page(store, dice)


def truncate(store, dice):
    """Cut the file off somewhere."""
    _cut(store, dice.randrange(store.stat().st_size + 1))


def empty(store, _dice):
    """Leave nothing of the file."""
    _cut(store, 0)


def replace(store, dice):
    """Put something else in its place."""
    store.write_bytes(dice.randbytes(dice.choice((10, 4096, 50_000))))


def wal_torn(store, dice):
    """Tear off the end of the write-ahead log."""
    log = _beside(store, "-wal")
    if log.exists():
        _cut(log, dice.randrange(log.stat().st_size + 1))


def wal_spoilt(store, dice):
    """Overwrite bytes of the write-ahead log."""
    log = _beside(store, "-wal")
    if log.exists() and log.stat().st_size:
        _overwrite(log, dice.randrange(log.stat().st_size), dice.randbytes(40))


def wal_tail_garbage(store, dice):
    """Put noise behind the write-ahead log."""
    log = _beside(store, "-wal")
    if log.exists():
        with log.open("ab") as file:
            file.write(dice.randbytes(dice.choice((1, 24, 4120, 9000))))


def shm(store, dice):
    """Overwrite the index of the write-ahead log."""
    index = _beside(store, "-shm")
    if index.exists() and index.stat().st_size:
        index.write_bytes(dice.randbytes(index.stat().st_size))


KINDS = {
    kind.__name__: kind
    for kind in (
        *(bytes_of_page, page, pages, truncate, empty, replace),
        *(wal_torn, wal_spoilt, wal_tail_garbage, shm),
    )
}


def _overwrite(file, place, content):
    with file.open("r+b") as opened:
        opened.seek(place)
        opened.write(content)


def _cut(file, size):
    with file.open("r+b") as opened:
        opened.truncate(size)


def _beside(store, part):
    return store.with_name(store.name + part)
