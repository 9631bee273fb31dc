import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lilong_tools.firmware.cross import ARCHITECTURES, CrossCompiler, holds_machine_code
from lilong_tools.firmware.sizes import Row, by_folder, slot_blocks, slots_held
from lilong_tools.firmware.source import Module, find_modules

ROOT = Path(__file__).parents[2]
NATIVE = """
import micropython

@micropython.viper
def double(value: int) -> int:
    return value + value
"""
FILL = """
import json, os, sys, vfs

class Ram:
    def __init__(self, blocks):
        self.data = bytearray(blocks * 4096)
        self.blocks = blocks

    def readblocks(self, block, buffer, offset=0):
        begin = block * 4096 + offset
        buffer[:] = memoryview(self.data)[begin : begin + len(buffer)]

    def writeblocks(self, block, data, offset=0):
        begin = block * 4096 + offset
        self.data[begin : begin + len(data)] = data

    def ioctl(self, request, argument):
        return {4: self.blocks, 5: 4096}.get(request, 0)

ram = Ram(400)
vfs.VfsLfs2.mkfs(ram)
with open(sys.argv[1]) as file:
    sizes = json.load(file)
vfs.mount(vfs.VfsLfs2(ram), "/ram")
free = os.statvfs("/ram")[3]
for name, size in sizes.items():
    parts = ("/ram/a/" + name).split("/")
    for count in range(3, len(parts)):
        try:
            os.mkdir("/".join(parts[:count]))
        except OSError:
            pass
    with open("/".join(parts), "wb") as file:
        file.write(bytes(size))
print(free - os.statvfs("/ram")[3])
"""


def lilong(*words):
    return subprocess.run(
        [sys.executable, "-m", "lilong_tools", "firmware", "build", *map(str, words)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


def done(*words):
    ended = lilong(*words)
    assert (ended.returncode, ended.stderr) == (0, "")
    return ended.stdout


def refused(*words):
    ended = lilong(*words)
    assert (ended.returncode, ended.stdout) == (2, "")
    problem, advice = ended.stderr.splitlines()
    assert advice.startswith("  -> ")
    return problem.removeprefix("lilong: ")


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    out = tmp_path_factory.mktemp("build") / "firmware"
    return out, json.loads(done("--out", out, "--json"))


@pytest.fixture
def small(tmp_path):
    """A tree with one module in each place."""
    root = tmp_path / "tree"
    for name in (
        "protocol/lilong_protocol/__init__.py",
        "firmware/lilong_firmware/__init__.py",
        "firmware/lilong_firmware/app.py",
        "firmware/main.py",
    ):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f'"""{name}"""\nVALUE = 1\n')
    shutil.copytree(ROOT / "firmware/boards", root / "firmware/boards")
    return root


OF_CPYTHON = {"aead_cryptography.py", "rice_windows.py", "sums_itertools.py"}


def test_every_module_of_a_node_is_compiled_for_every_processor(built):
    out, found = built
    names = {path.name for path in (ROOT / "firmware").glob("*.py")} - {"manifest.py"}
    for package in (ROOT / "firmware/lilong_firmware", ROOT / "protocol/lilong_protocol"):
        names |= {
            path.relative_to(package.parent).as_posix()
            for path in package.rglob("*.py")
            if "virtual" not in path.parts and path.name not in OF_CPYTHON
        }
    assert {module["name"] for module in found["modules"]} == names
    for architecture in ARCHITECTURES:
        held = {
            path.relative_to(out / architecture).with_suffix(".py").as_posix()
            for path in (out / architecture).rglob("*.mpy")
        }
        assert held == {f"slot/{name}" if "/" in name else f"base/{name}" for name in names}


def test_the_sizes_are_those_of_the_files(built):
    out, found = built
    for module in found["modules"]:
        path = ROOT / ("protocol" if "_protocol" in module["name"] else "firmware")
        assert module["source_bytes"] == (path / module["name"]).stat().st_size
        part = "slot" if module["in_slot"] else "base"
        for architecture in ARCHITECTURES:
            mpy = (out / architecture / part / module["name"]).with_suffix(".mpy")
            assert module["mpy_bytes"][architecture] == mpy.stat().st_size > 10


def test_the_folders_add_up_to_all(built):
    _, found = built
    *folders, everything = found["folders"]
    assert everything["name"] == "all"
    assert {"base", "lilong_firmware", "lilong_protocol"} <= {row["name"] for row in folders}
    for architecture in ARCHITECTURES:
        total = sum(module["mpy_bytes"][architecture] for module in found["modules"])
        assert sum(row["mpy_bytes"][architecture] for row in folders) == total
        assert everything["mpy_bytes"][architecture] == total


def test_what_is_built_is_what_a_node_of_32_bits_loads(built, micropython32):
    out, _ = built
    slot = out / "rv32imc" / "slot"
    program = "import lilong_protocol.cobs as m, lilong_protocol.cbor; print(m.__file__)"
    ended = subprocess.run(
        [micropython32, "-c", program],
        env={"MICROPYPATH": f".frozen:{slot}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.stderr, ended.stdout) == ("", f"{slot}/lilong_protocol/cobs.mpy\n")


def test_the_blocks_of_a_slot_are_those_that_littlefs_takes(built, tmp_path, micropython32):
    _, found = built
    sizes = {
        module["name"]: max(module["mpy_bytes"].values())
        for module in found["modules"]
        if module["in_slot"]
    }
    (tmp_path / "sizes.json").write_text(json.dumps(sizes))
    (tmp_path / "fill.py").write_text(FILL)
    ended = subprocess.run(
        [micropython32, "-X", "heapsize=4M", "fill.py", "sizes.json"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.stderr == ""
    # How full the blocks of a folder get depends on the order.
    assert abs(int(ended.stdout) - found["slot_blocks"]) <= 6


def test_every_file_system_has_room_for_a_slot_and_that_of_8_mib_for_both(built):
    _, found = built
    held = {
        name: slots_held(found["slot_blocks"], room)
        for name, room in found["file_system_blocks"].items()
    }
    assert held["4MiB"] >= 1
    assert held["8MiB"] >= 2


def test_the_table_shows_every_module_and_the_biggest_first_when_asked(small, tmp_path):
    (small / "firmware/lilong_firmware/app.py").write_text(
        "\n".join(f"x{i} = {i}" for i in range(99))
    )
    shown = done("--source", small, "--out", tmp_path / "out").splitlines()
    names = [line.split()[0] for line in shown[1:5]]
    assert names == [
        "main.py",
        "lilong_firmware/__init__.py",
        "lilong_firmware/app.py",
        "lilong_protocol/__init__.py",
    ]
    assert shown[0].split() == ["bytes", "source", "xtensawin", "rv32imc"]
    shown = done("--source", small, "--out", tmp_path / "out", "--biggest").splitlines()
    assert shown[1].split()[0] == "lilong_firmware/app.py"
    assert shown[-3].startswith("4 modules, bytecode alone; a slot takes ")
    assert shown[-2].startswith("4MiB: a file system of 240 blocks, slots that fit: ")


def test_one_processor_can_be_chosen_and_the_others_files_go(small, tmp_path):
    out = tmp_path / "out"
    done("--source", small, "--out", out)
    assert sorted(path.name for path in out.iterdir() if path.is_dir()) == ["rv32imc", "xtensawin"]
    done("--source", small, "--out", out, "--arch", "rv32imc")
    assert [path.name for path in out.iterdir() if path.is_dir()] == ["rv32imc"]


def test_machine_code_is_told_and_differs_between_the_processors(small, tmp_path):
    path = small / "firmware/lilong_firmware/app.py"
    path.write_text(NATIVE)
    found = json.loads(done("--source", small, "--out", tmp_path / "out", "--json"))
    (app,) = [each for each in found["modules"] if each["name"].endswith("app.py")]
    assert app["machine_code"]
    assert [each["machine_code"] for each in found["modules"]].count(True) == 1
    codes = {
        CrossCompiler(name).compile(Module(path, Path("lilong_firmware/app.py")))
        for name in ARCHITECTURES
    }
    assert len(codes) == 2
    assert all(holds_machine_code(code) for code in codes)


def test_source_that_does_not_compile_is_named_with_its_line(small, tmp_path):
    path = small / "firmware/lilong_firmware/app.py"
    path.write_text("good = 1\nbad = = 2\n")
    problem = refused("--source", small, "--out", tmp_path / "out")
    assert str(path) in problem
    assert "line 2" in problem
    assert not (tmp_path / "out").exists()


def test_a_folder_of_somebody_else_is_left_alone(small, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "thesis.txt").write_text("years of work")
    assert "not a build's" in refused("--source", small, "--out", out)
    assert [path.name for path in out.iterdir()] == ["thesis.txt"]
    (out / "thesis.txt").rename(out / "sizes.json")
    assert "not a build's" in refused("--source", small, "--out", out)
    assert (out / "sizes.json").read_text() == "years of work"
    file = tmp_path / "file"
    file.touch()
    assert "is not a folder" in refused("--source", small, "--out", file)


def test_what_somebody_put_into_a_builds_folder_is_not_removed(small, tmp_path):
    out = tmp_path / "out"
    done("--source", small, "--out", out)
    (out / "notes").mkdir()
    (out / "notes" / "thesis.txt").write_text("years of work")
    assert str(out / "notes") in refused("--source", small, "--out", out)
    assert (out / "notes" / "thesis.txt").read_text() == "years of work"


def test_a_link_in_a_builds_folder_is_not_followed(small, tmp_path):
    out = tmp_path / "out"
    done("--source", small, "--out", out)
    elsewhere = tmp_path / "elsewhere"
    shutil.move(out / "rv32imc", elsewhere)
    (out / "rv32imc").symlink_to(elsewhere)
    assert "not a build's" in refused("--source", small, "--out", out)
    assert any(elsewhere.rglob("*.mpy"))


def test_git_does_not_see_what_is_built(small, tmp_path):
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    done("--source", small, "--out", tmp_path / "build" / "firmware")
    shown = subprocess.run(
        ["git", "-C", tmp_path, "status", "--porcelain"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert shown.stdout == "?? tree/\n"


def test_a_tree_that_is_not_whole_is_refused(small, tmp_path):
    (small / "firmware/main.py").unlink()
    assert "main.py is not there" in refused("--source", small, "--out", tmp_path / "out")
    assert "lilong_protocol is not there" in refused(
        "--source", tmp_path, "--out", tmp_path / "out"
    )


def test_a_partition_table_without_a_file_system_is_refused(small, tmp_path):
    (small / "firmware/boards/partitions-4MiB.csv").write_text("nvs, data, nvs, 0x9000, 0x4000,\n")
    assert "partitions-4MiB.csv" in refused("--source", small, "--out", tmp_path / "out")


def row(name, size):
    return Row(name, "/" in name, size, {"xtensawin": size}, machine_code=False)


def test_blocks_are_counted_as_littlefs_lays_files_out():
    folders = 4
    assert slot_blocks([row("p/a.py", 128)]) == folders
    assert slot_blocks([row("p/a.py", 129)]) == folders + 1
    assert slot_blocks([row("p/a.py", 4096)]) == folders + 1
    assert slot_blocks([row("p/a.py", 4097)]) == folders + 2
    assert slot_blocks([row("p/q/a.py", 1), row("loader.py", 9999)]) == folders + 2


def test_the_base_is_a_folder_of_its_own_in_the_sums():
    sums = by_folder([row("loader.py", 10), row("p/a.py", 20), row("p/q/b.py", 30)])
    assert [(each.name, each.source_bytes) for each in sums] == [
        ("base", 10),
        ("p", 20),
        ("p/q", 30),
        ("all", 60),
    ]


def test_the_installed_tree_is_the_usual_one():
    assert [module.path for module in find_modules(None)] == [
        module.path for module in find_modules(ROOT)
    ]
