import os
import zipfile
from pathlib import Path

import pytest
from pushed_node import Maker

from lilong_gateway.downlink.goods import CONFIGURATION_LIMIT
from lilong_gateway.downlink.shelf import Shelf

EUI = "0a1b2c3d4e5f6071"
FILES = {"a.mpy": b"x" * 3000, "b.mpy": b"y"}


class Place:
    """The two folders of an operator."""

    def __init__(self, folder: Path) -> None:
        self.maker = Maker()
        self.updates, self.settings = folder / "updates", folder / "settings"
        self.updates.mkdir()
        self.settings.mkdir()
        self.keys = [self.maker.public]
        self.shelf = Shelf()

    def look(self, times: int = 2) -> Shelf:
        for _ in range(times):
            self.shelf = self.shelf.look(self.updates, self.settings, self.keys)
        return self.shelf

    def bundle(self, sequence: int, **more) -> Path:
        return self.maker.bundle(self.updates / f"{sequence}.lilong", sequence, FILES, **more)

    def write(self, text: str | bytes, name: str = f"{EUI}.json") -> Path:
        path = self.settings / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    def only_trouble(self) -> str:
        (trouble,) = self.look().troubles
        assert not self.shelf.updates
        assert not self.shelf.configurations
        return trouble


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_files_are_taken_once_they_have_rested_and_read_once(place: Place) -> None:
    place.bundle(5)
    place.bundle(7)
    place.write('{"version": 3}')
    assert place.look(1).updates == ()
    first = place.look(1)
    assert [update.sequence for update in first.updates] == [7, 5]
    assert first.configurations[bytes.fromhex(EUI)].parcel.sequence == 3
    assert first.troubles == ()
    assert place.look(1).updates[0] is first.updates[0]
    assert first.updates[0].parcel.size > 3000


def test_what_is_removed_or_replaced_goes(place: Place) -> None:
    path = place.bundle(5)
    settings = place.write('{"version": 3}')
    before = place.look()
    path.unlink()
    fresh = place.settings / ".fresh"
    fresh.write_text('{"version": 4}')
    fresh.replace(settings)
    place.look(1)
    after = place.look(1)
    assert after.updates == ()
    assert after.configurations[bytes.fromhex(EUI)].parcel.sequence == 4
    assert before.configurations[bytes.fromhex(EUI)].parcel.sequence == 3


def test_half_a_bundle_is_not_used_and_the_whole_one_is(place: Place) -> None:
    whole = place.bundle(5).read_bytes()
    path = place.updates / "5.lilong"
    for length in (0, 10, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        assert "damaged or no bundle" in place.only_trouble()
    path.write_bytes(whole)
    assert [update.sequence for update in place.look().updates] == [5]
    assert place.shelf.troubles == ()


def test_a_bundle_with_other_bytes_than_its_manifest_says_is_not_used(place: Place) -> None:
    good = place.bundle(5)
    with zipfile.ZipFile(good) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    for change in ({"files/a.mpy": b"z" * 3000}, {"files/c.mpy": b"more"}):
        with zipfile.ZipFile(good, "w") as archive:
            for name, data in {**members, **change}.items():
                archive.writestr(name, data)
        assert "is not whole" in place.only_trouble()


def test_a_bundle_of_another_signer_is_not_used_unless_no_key_is_named(place: Place) -> None:
    place.bundle(5)
    place.keys = [Maker().public]
    assert "is not from here" in place.only_trouble()
    place.shelf, place.keys = Shelf(), None
    (update,) = place.look().updates
    assert not update.signed


def test_two_bundles_of_one_sequence_are_said_and_one_is_used(place: Place) -> None:
    place.bundle(5)
    place.maker.bundle(place.updates / "6.lilong", 5, {"a.mpy": b"other"})
    assert len(place.look().updates) == 1
    assert "has the sequence 5 of 5.lilong" in place.shelf.troubles[0]


def test_bundles_beyond_the_room_for_them_are_left_out_and_said(place: Place) -> None:
    for sequence in (5, 6, 7):
        place.bundle(sequence)
    size = place.look().updates[0].parcel.size
    place.shelf = Shelf(held_limit=2 * size)
    assert len(place.look().updates) == 2
    assert "remove old ones" in place.shelf.troubles[0]


@pytest.mark.parametrize(
    ("text", "trouble"),
    [
        ("", "is not JSON"),
        ('{"version": 3', "is not JSON"),
        (b'{"version": 3, "x": "\xff"}', "is not JSON"),
        ("[" * 9000 + "]" * 7000, "is not JSON"),
        ("[3]", "is no JSON object"),
        ("{}", 'has no "version"'),
        ('{"version": "3"}', 'has no "version"'),
        ('{"version": true}', 'has no "version"'),
        ('{"version": 0}', 'has no "version"'),
        ('{"version": 3}' + " " * CONFIGURATION_LIMIT, "has more than 16384 bytes"),
    ],
)
def test_a_configuration_that_is_none_is_said_without_its_content(
    place: Place, text: str | bytes, trouble: str
) -> None:
    place.write(text)
    assert trouble in place.only_trouble()
    assert '"x"' not in place.shelf.troubles[0]


def test_the_longest_configuration_is_taken_as_it_is(place: Place) -> None:
    text = '{"version": 3}'.ljust(CONFIGURATION_LIMIT)
    place.write(text)
    (found,) = place.look().configurations.values()
    assert found.parcel.parts[0].data == text.encode()


def test_a_file_that_is_not_named_by_a_node_is_said(place: Place) -> None:
    place.write('{"version": 3}', "lift.json")
    assert "lift.json is not named by a node" in place.only_trouble()


def test_a_folder_that_is_not_there_is_said_until_it_is(place: Place) -> None:
    place.settings.rmdir()
    assert "settings cannot be read (No such file or directory)" in place.only_trouble()
    place.settings.mkdir()
    assert place.look().troubles == ()


def test_hidden_files_folders_and_others_do_not_count(place: Place) -> None:
    place.write("{", ".half.json")
    place.write("read me", "notes.txt")
    (place.settings / "old.json").mkdir()
    os.mkfifo(place.updates / "pipe.lilong")
    assert place.look().troubles == ()


def test_no_folders_are_no_trouble() -> None:
    shelf = Shelf().look(None, None, None)
    assert (shelf.updates, shelf.configurations, shelf.troubles) == ((), {}, ())
