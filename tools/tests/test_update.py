import asyncio
import json
import os
import shutil
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from lilong_protocol.manifest import open_manifest, split_public_keys
from lilong_protocol.serial import FrameReader
from lilong_tools.errors import UpdateError
from lilong_tools.update.bundle import Bundle, read_bundle, write_bundle
from lilong_tools.update.imports import segment_name, source_tree
from lilong_tools.update.verdict import judge
from lilong_tools.vnode import VirtualNode, make_folder
from lilong_tools.vnode.folder import Firmware

ROOT = Path(__file__).parents[2]
RADIO = "lilong_firmware.ble.radio"
"""Needs the radio of a virtual node; test_ble_push.py has one."""

SHIM = ROOT / "firmware" / "lilong_firmware" / "virtual"
BUILD = ["update", "build", "--sequence", "7", "--version", "1.4.0"]
APP = "lilong_firmware/app.mpy"
PATIENCE_S = 20
WORDS = "correct horse"
HELLO = 1 << 5 | 0
"""First byte of a frame: version 1, type HELLO."""


def lilong(*words, passphrase=""):
    return subprocess.run(
        [sys.executable, "-m", "lilong_tools", *map(str, words)],
        env={**os.environ, "LILONG_UPDATE_PASSPHRASE": passphrase},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def done(*words, passphrase=""):
    ended = lilong(*words, passphrase=passphrase)
    assert (ended.returncode, ended.stderr) == (0, "")
    return ended.stdout


def refused(*words, passphrase=""):
    """The one line about what is wrong; a second says what to do about it."""
    ended = lilong(*words, passphrase=passphrase)
    assert (ended.returncode, ended.stdout) == (2, "")
    problem, advice = ended.stderr.splitlines()
    assert problem.startswith("lilong: ")
    assert advice.startswith("  -> ")
    return problem


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with two pairs of keys and a signed bundle of the tree, a.lilong."""
    folder = tmp_path_factory.mktemp("update")
    for name in ("active", "other"):
        done("update", "keygen", folder / name)
    keys = b"".join((folder / f"{name}.pub").read_bytes() for name in ("other", "active"))
    (folder / "both.pub").write_bytes(keys)
    done(*BUILD, "--key", folder / "active", "--output", folder / "a.lilong")
    return folder


@pytest.fixture(scope="module")
def slot(place):
    """The files of the bundle, as a node has them after the update."""
    folder = place / "slot"
    for name, data in read_bundle(place / "a.lilong").files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


@pytest.fixture(params=["micropython", "micropython32"])
def launcher(request):
    return request.getfixturevalue(request.param)


def on_node(launcher, slot, program, heap="800k"):
    ended = subprocess.run(
        [launcher, "-X", f"heapsize={heap}", "-c", program],
        env={"MICROPYPATH": f"{SHIM}:.frozen:{slot}"},
        cwd=slot,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout.splitlines()


def test_a_pair_of_keys_is_written_once_and_the_private_one_for_its_owner_alone(tmp_path):
    path = tmp_path / "k"
    said = done("update", "keygen", path)
    private, public = path.read_bytes(), (tmp_path / "k.pub").read_bytes()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(public) == 32
    assert private.startswith(b"-----BEGIN PRIVATE KEY-----")
    assert not any(line in said for line in private.decode().splitlines())
    assert "is there already" in refused("update", "keygen", path)
    path.unlink()
    assert "k.pub is there already" in refused("update", "keygen", path)
    assert (path.exists(), (tmp_path / "k.pub").read_bytes()) == (False, public)


def test_a_key_with_a_passphrase_signs_with_it_alone(tmp_path, place):
    path, output = tmp_path / "k", tmp_path / "x.lilong"
    done("update", "keygen", path, passphrase=WORDS)
    assert b"ENCRYPTED" in path.read_bytes()
    sign = ["update", "sign", place / "a.lilong", "--key", path, "--output", output]
    assert "does not open with this passphrase" in refused(*sign, passphrase=WORDS[1:])
    assert "no terminal to ask at" in refused(*sign)
    assert not output.exists()
    done(*sign, passphrase=WORDS)
    done("update", "verify", output, "--public", f"{path}.pub")


def test_a_passphrase_is_asked_for_at_a_terminal_only(tmp_path):
    assert "no terminal" in refused("update", "keygen", tmp_path / "k", "--passphrase")
    assert list(tmp_path.iterdir()) == []


def test_a_private_key_that_others_may_read_is_not_used(tmp_path, place):
    path = tmp_path / "k"
    shutil.copy(place / "active", path)
    path.chmod(0o640)
    sign = ["update", "sign", place / "a.lilong", "--output", tmp_path / "x.lilong"]
    assert "others may read" in refused(*sign, "--key", path)


def test_the_same_source_gives_the_same_bytes_wherever_it_lies(tmp_path, place):
    for folder in ("firmware", "protocol"):
        package = ROOT / folder / f"lilong_{folder}"
        shutil.copytree(package, tmp_path / "elsewhere" / folder / package.name)
    source = ["--source", tmp_path / "elsewhere"]
    output = tmp_path / "b.lilong"
    done(*BUILD, "--key", place / "active", "--output", output, *source)
    assert output.read_bytes() == (place / "a.lilong").read_bytes()


def test_a_bundle_is_verified_by_the_public_key_of_its_signer(place):
    said = done("update", "verify", place / "a.lilong", "--public", place / "active.pub")
    assert said.splitlines()[-1].split() == ["verdict", "good"]
    said = done("update", "show", place / "a.lilong")
    assert said.splitlines()[-1] == "verdict   signature not checked"


def test_what_is_printed_for_scripts_says_all(place):
    bundle = read_bundle(place / "a.lilong")
    words = ["update", "verify", place / "a.lilong", "--public", place / "both.pub", "--json"]
    told = json.loads(done(*words))
    page = (ROOT / "docs" / "update.md").read_text("utf-8")
    assert {key for key in told if f"`{key}`" not in page} == set()
    segments = told.pop("segments")
    assert {key for key in segments[0] if f"`{key}`" not in page} == set()
    assert {part["name"]: part["size"] for part in segments} == {
        name: len(data) for name, data in bundle.files.items()
    }
    assert {part["state"] for part in segments} == {"good"}
    assert len(told.pop("key_id")) == 16
    assert told == {
        "class": "lilong-esp32",
        "sequence": 7,
        "oldest": 0,
        "version": "1.4.0",
        "kind": "application",
        "bytes": sum(map(len, bundle.files.values())),
        "signed_by": "recovery",
        "good": True,
        "verdict": "good",
    }


def test_the_signature_of_another_key_is_refused_with_status_1(place):
    ended = lilong("update", "verify", place / "a.lilong", "--public", place / "other.pub")
    assert (ended.returncode, ended.stderr) == (1, "")
    assert "refused: manifest: signed with a key that is not known here" in ended.stdout


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda files: {**files, APP: files[APP][:-1]}, "app.mpy is damaged"),
        (lambda files: {**files, APP: files[APP][:-1] + b"?"}, "app.mpy is damaged"),
        (lambda files: {**files, "lilong_firmware/x.mpy": b"x"}, "x.mpy is not in the manifest"),
        (lambda files: dict(list(files.items())[1:]), "__init__.mpy is missing"),
    ],
    ids=["cut", "changed", "added", "left out"],
)
def test_files_that_are_not_the_manifests_are_refused_and_never_signed(
    tmp_path, place, change, words
):
    good, path = read_bundle(place / "a.lilong"), tmp_path / "x.lilong"
    write_bundle(path, Bundle(good.manifest, signed=True, files=change(good.files)))
    ended = lilong("update", "verify", path, "--public", place / "active.pub")
    assert ended.returncode == 1
    assert words in ended.stdout.splitlines()[-1]
    assert lilong("update", "show", path).returncode == 1
    sign = ["update", "sign", path, "--key", place / "active", "--output", tmp_path / "y.lilong"]
    assert "is not what the manifest says" in refused(*sign)


def test_a_bundle_is_built_here_and_signed_there(tmp_path, place):
    path, output = tmp_path / "unsigned.lilong", tmp_path / "signed.lilong"
    assert "not signed" in done(*BUILD, "--output", path)
    done("update", "show", path)
    ended = lilong("update", "verify", path, "--public", place / "active.pub")
    assert (ended.returncode, "it is not signed" in ended.stdout) == (1, True)
    done("update", "sign", path, "--key", place / "active", "--output", output)
    assert output.read_bytes() == (place / "a.lilong").read_bytes()
    sign = ["update", "sign", path, "--key", place / "active", "--output", output]
    assert "signed as it is" in refused(*sign, "--sequence", "8")


def test_a_folder_and_an_image_that_were_built_elsewhere_are_signed(tmp_path, place, slot):
    output, image = tmp_path / "x.lilong", tmp_path / "micropython.bin"
    image.write_bytes(bytes(range(256)) * 400)
    sign = ["update", "sign", "--key", place / "active", "--output", output]
    terms = ["--sequence", "7", "--version", "1.4.0"]
    assert "has no manifest yet" in refused(*sign, image)
    done(*sign, slot, *terms)
    assert output.read_bytes() == (place / "a.lilong").read_bytes()
    more = ["--class", "lilong-s3", "--oldest", "5"]
    assert "1 files, 102400 bytes" in done(*sign, image, *terms, *more)
    told = json.loads(done("update", "show", output, "--json"))
    assert (told["kind"], told["class"], told["oldest"]) == ("base image", "lilong-s3", 5)
    assert read_bundle(output).files == {"micropython.bin": image.read_bytes()}


def test_a_node_opens_the_manifest_of_the_bundle(place):
    keys = split_public_keys((place / "both.pub").read_bytes())
    manifest = open_manifest(read_bundle(place / "a.lilong").manifest, keys)
    assert (manifest.device_class, manifest.sequence, manifest.oldest) == ("lilong-esp32", 7, 0)


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["build", "--sequence", "4294967296", "--version", "1"], "sequence 4294967296 is"),
        (["build", "--sequence", "7", "--version", "1", "--oldest", "7"], "oldest sequence 7 is"),
        (["build", "--sequence", "7", "--version", ""], "version is empty"),
        (["build", "--sequence", "7", "--version", "x" * 33], "version is not a text of at most"),
        (["build", "--sequence", "7", "--version", "1", "--class", ""], "class is empty"),
        (["build", "--sequence", "7", "--version", "1", "--source", "none"], "is not in none"),
        (["build", "--sequence", "7", "--version", "1", "--key", "none"], "none cannot be read"),
        (["build", "--sequence", "7", "--version", "1", "--key", "pem"], "is no private key"),
        (["build", "--sequence", "7", "--version", "1", "--output", "none/x.lilong"], "written"),
        (["build", "--sequence", "7", "--version", "1", "--output", "x.zip"], "no name of a"),
        (["sign", "none", "--key", "pem", "--sequence", "1", "--version", "1"], "none cannot be"),
        (["sign", "IMG", "--key", "pem", "--sequence", "1", "--version", "1"], '"IMG" has'),
        (["sign", "dev", "--key", "pem", "--sequence", "1", "--version", "1"], "is not a file"),
        (["show", "none.lilong"], "none.lilong cannot be read"),
        (["show", "."], ". cannot be read"),
        (["show", "pem"], "pem is damaged or no bundle"),
        (["verify", "pem", "--public", "pem"], "is no file of public keys"),
        (["keygen", "none/key"], "none/key cannot be written"),
    ],
)
def test_what_cannot_be_done_is_one_line(tmp_path, words, problem):
    (tmp_path / "pem").write_bytes(b"-----BEGIN PRIVATE KEY-----\nx\n-----END PRIVATE KEY-----\n")
    (tmp_path / "pem").chmod(0o600)
    (tmp_path / "IMG").write_bytes(b"x")
    (tmp_path / "dev").symlink_to("/dev/null")
    if words[0] in {"build", "sign"} and "--output" not in words:
        words = [*words, "--output", "x.lilong"]
    before = sorted(tmp_path.iterdir())
    ended = subprocess.run(
        [sys.executable, "-m", "lilong_tools", "update", *words],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (2, "")
    assert len(ended.stderr.splitlines()) == 2
    assert problem in ended.stderr.splitlines()[0]
    assert sorted(tmp_path.iterdir()) == before


def test_source_that_does_not_compile_or_is_not_whole_is_named(tmp_path):
    for folder in ("firmware", "protocol"):
        package = ROOT / folder / f"lilong_{folder}"
        shutil.copytree(package, tmp_path / folder / package.name)
    words = [*BUILD, "--output", tmp_path / "x.lilong", "--source", tmp_path]
    module = tmp_path / "protocol" / "lilong_protocol" / "cobs.py"
    module.write_text("def f(a, /): pass\n")
    assert "cobs.py does not compile (line 1, SyntaxError" in refused(*words)
    module.write_text("def f(:\n")
    assert "cobs.py cannot be read (" in refused(*words)
    module.unlink()
    assert "the module lilong_protocol.cobs is missing" in refused(*words)


def write_zip(path, members, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in members:
            archive.writestr(name, data)


def test_archives_that_are_no_bundles_are_refused_before_they_are_unpacked(tmp_path, place):
    manifest = read_bundle(place / "a.lilong").manifest
    good = ("manifest.cose", manifest)
    path = tmp_path / "x.lilong"
    for members, words in (
        ([], "no manifest"),
        ([good, ("manifest.cbor", b"x")], "no manifest, or two"),
        ([good, ("../x", b"x")], "which no bundle does"),
        ([("manifest.cose", bytes(16385))], "more than 16384 bytes"),
        ([("manifest.cose", manifest[1:-1])], "that no node takes"),
        ([good, *((f"files/{number}", b"x") for number in range(256))], "too many files"),
        ([good, ("files/a", bytes((1 << 24) + 1))], "more than 16777216 bytes"),
    ):
        write_zip(path, members)
        with pytest.raises(UpdateError, match=words):
            read_bundle(path)
    write_zip(path, [good, ("files/a", bytes(1 << 20))], zipfile.ZIP_DEFLATED)
    with pytest.raises(UpdateError, match="is compressed"):
        read_bundle(path)


def test_a_damaged_bundle_is_said_to_be_damaged_or_refused(tmp_path, place):
    data, path = (place / "a.lilong").read_bytes(), tmp_path / "x.lilong"
    good, keys = read_bundle(place / "a.lilong"), [(place / "active.pub").read_bytes()]
    for at in range(0, len(data), len(data) // 60):
        damaged = bytearray(data)
        damaged[at] ^= 0x10
        path.write_bytes(damaged)
        try:
            bundle = read_bundle(path)
        except UpdateError:
            continue
        # Damage to a date or to a mode in the archive changes nothing that a node receives.
        if judge(bundle, keys).problem is None:
            assert bundle == good
    for end in (0, 10, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:end])
        with pytest.raises(UpdateError):
            read_bundle(path)


def test_the_bundle_holds_what_a_node_imports_and_not_the_other_half():
    modules = source_tree(None).modules()
    absent = {"aead_cryptography", "gateway_session", "memory_outbox", "receiver"}
    names = {name.rpartition(".")[2] for name in modules}
    assert {"app", "board", "aead_cryptolib", "node_session", "catalogue"} <= names
    assert not names & absent
    assert not any("virtual" in name or "tests" in name for name in modules)


def test_nothing_is_imported_from_beyond_the_bundle(launcher, slot):
    program = (
        "import sys\nimport lilong_firmware.start\n"
        "import lilong_firmware.preparation, lilong_firmware.assembly\n"
        "for name in sys.modules:\n if name.startswith('lilong'): print(name)\n"
    )
    modules = source_tree(None).modules()
    imported = set(on_node(launcher, slot, program))
    assert "lilong_protocol.node_session" in imported
    assert imported <= set(modules)


def test_every_module_of_the_bundle_loads_on_a_node(launcher, slot):
    modules = source_tree(None).modules()
    names = {segment_name(name, path): name for name, path in modules.items()}
    files = {path.relative_to(slot).as_posix() for path in slot.rglob("*.mpy")}
    assert set(names) == files
    loadable = sorted(modules.keys() - {RADIO})
    program = f"for name in {loadable!r}:\n __import__(name)\n print(name)\n"
    assert on_node(launcher, slot, program) == loadable


PROGRAM = """
from loader import Loader
from lilong_firmware import app, start
print(app.__file__)
Loader().run(start.run)
"""


async def test_a_virtual_node_runs_the_bundle_and_greets(tmp_path, launcher, slot):
    folder = tmp_path / "node"
    make_folder(folder, {"eui": "0123456789abcdef"}, bytes(16))
    program = tmp_path / "main.py"
    program.write_text(PROGRAM)
    firmware = Firmware(program, (str(SHIM), ".frozen", str(slot), str(ROOT / "firmware")))
    frames = []
    async with VirtualNode(folder, launcher, firmware=firmware) as node:
        line = os.open(node.port.path, os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK)
        reader = FrameReader()
        async with asyncio.timeout(PATIENCE_S):
            while not frames:
                assert node.running, node.log.read_text()
                await asyncio.sleep(0.01)
                try:
                    frames += reader.feed(os.read(line, 256))
                except BlockingIOError:
                    continue
        os.close(line)
        log = node.log.read_text()
    assert frames[0][0] == HELLO
    assert "lilong_firmware/app.mpy" in log


def test_the_manifest_of_the_tree_opens_in_the_heap_of_a_node(launcher, slot, place):
    bundle = read_bundle(place / "a.lilong")
    (slot / "manifest.cose").write_bytes(bundle.manifest)
    for name in ("cose", "manifest", "ed25519", "sha512", "sha512_pure", "kdf", "fields", "cbor"):
        source = ROOT / "protocol" / "lilong_protocol" / f"{name}.py"
        shutil.copy(source, slot / "lilong_protocol" / source.name)
    program = (
        "from lilong_protocol.manifest import open_manifest\n"
        "with open('manifest.cose', 'rb') as file: data = file.read()\n"
        f"manifest = open_manifest(data, [{(place / 'active.pub').read_bytes()!r}])\n"
        "print(manifest.sequence, len(manifest.segments), manifest.size)\n"
    )
    size = sum(map(len, bundle.files.values()))
    expected = f"7 {len(bundle.files)} {size}"
    assert on_node(launcher, slot, program, heap="160k") == [expected]
