import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from lilong_gateway.key_file import load_keys
from lilong_gateway.key_watch import KeyWatch
from lilong_gateway.keys import KeyRing

EUIS = [bytes([number] * 8) for number in range(1, 41)]
KEY = bytes(range(16))
LINES = ["[keys]", *(f'"{eui.hex()}" = "{KEY.hex()}"' for eui in EUIS)]
TEXT = "\n".join(LINES) + "\n"

Eventually = Callable[[Callable[[], object]], Any]


class Watched:
    """A key file, and a ring that follows it."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "nodes.toml"
        self.write(TEXT)
        self.keys = load_keys(self.file)
        self.watch = KeyWatch(self.file, self.keys)

    @property
    def counted(self) -> tuple[int, int]:
        return self.watch.counters.loads, self.watch.counters.failures

    def write(self, text: str) -> None:
        self.file.touch(0o600)
        self.file.write_text(text, encoding="utf-8")

    def replace(self, text: str) -> None:
        fresh = self.file.with_name("fresh")
        fresh.touch(0o600)
        fresh.write_text(text, encoding="utf-8")
        fresh.rename(self.file)

    async def look_twice(self) -> None:
        await self.watch.look()
        await self.watch.look()

    def served(self) -> int:
        return sum(bool(self.keys(eui)) for eui in EUIS)


@pytest.fixture
async def watched(tmp_path: Path) -> Watched:
    watched = Watched(tmp_path)
    await watched.look_twice()
    assert watched.counted == (0, 0)
    return watched


@asynccontextmanager
async def running(watch: KeyWatch) -> AsyncIterator[None]:
    task = asyncio.create_task(watch.run())
    yield
    task.cancel()
    await asyncio.wait([task])


def complaints(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message for record in caplog.records if record.levelno >= logging.ERROR]


@pytest.mark.parametrize("way", ["write", "replace"])
async def test_a_changed_file_is_taken_over_once_it_rests(watched: Watched, way: str) -> None:
    getattr(watched, way)(TEXT.replace(KEY.hex(), KEY[::-1].hex(), 1))
    await watched.watch.look()
    assert watched.keys(EUIS[0]) == (KEY,)
    await watched.watch.look()
    assert watched.keys(EUIS[0]) == (KEY[::-1],)
    await watched.look_twice()
    assert watched.counted == (1, 0)


async def test_a_file_is_read_at_once_when_asked_for(watched: Watched) -> None:
    watched.write(TEXT + f'[revoked]\n"{EUIS[3].hex()}" = "x"\n')
    watched.watch.hasten()
    await watched.watch.look()
    assert watched.served() == len(EUIS) - 1
    assert watched.counted == (1, 0)


async def test_a_bad_file_is_one_line_in_the_log_and_changes_nothing(
    watched: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    watched.write(TEXT.replace(KEY.hex(), KEY.hex()[:-1], 1))
    for _ in range(3):
        await watched.look_twice()
    (complaint,) = complaints(caplog)
    assert f"nodes.toml:2: keys.{EUIS[0].hex()}: not a key" in complaint
    assert KEY.hex()[:-1] not in complaint
    assert watched.served() == len(EUIS)
    assert watched.counted == (0, 1)
    watched.write(TEXT)
    await watched.look_twice()
    assert watched.watch.counters.trouble == ""


@pytest.mark.parametrize(
    ("spoil", "trouble"),
    [
        (Path.unlink, "No such file"),
        (lambda file: file.chmod(0o644), "chmod 600"),
        (lambda file: file.write_bytes(b""), "holds no node any more"),
        (lambda file: file.write_bytes(b"\xff"), "not UTF-8"),
    ],
)
async def test_a_file_that_cannot_be_used_leaves_the_keys_as_they_were(
    watched: Watched, spoil: Callable[[Path], object], trouble: str
) -> None:
    spoil(watched.file)
    watched.watch.hasten()
    await watched.look_twice()
    assert trouble in watched.watch.counters.trouble
    assert watched.served() == len(EUIS)


async def test_a_file_that_is_written_in_pieces_drops_no_node(
    watched: Watched, eventually: Eventually
) -> None:
    wanted = TEXT.replace(KEY.hex(), KEY[::-1].hex())
    least = len(EUIS)
    async with running(watched.watch):
        with watched.file.open("w", encoding="utf-8", buffering=1) as file:
            for line in wanted.splitlines(keepends=True):
                file.write(line)
                await asyncio.sleep(0.07)
                least = min(least, watched.served())
        await eventually(lambda: watched.counted[0] == 1)
    assert least == len(EUIS)
    assert {watched.keys(eui) for eui in EUIS} == {(KEY[::-1],)}


async def test_the_first_node_may_come_to_an_empty_file(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    watched.keys.take(KeyRing({}))
    await watched.look_twice()
    assert watched.served() == len(EUIS)
