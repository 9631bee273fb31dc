"""Devices as settings.json gives them, and on a node with simulated chips."""

import json

import pytest

from lilong_firmware.configurations import check
from lilong_firmware.errors import SettingsError
from lilong_firmware.settings import Settings, read_settings

EUI = bytes.fromhex("0011223344556677")


def document(**changes):
    return {
        "eui": EUI.hex(),
        "version": 1,
        "report_ms": 500,
        "batch_ms": 300,
        "health_ms": 0,
        "sensor": {"kind": "devices"},
        "buses": {"i2c0": {"sda": 21, "scl": 22}},
        "devices": {"box": {"driver": "sht4x", "bus": "i2c0"}},
        "channels": [
            {"number": 0, "name": "t", "source": "box.temperature", "privacy": 0},
            {
                "number": 1,
                "name": "rh",
                "source": "box.humidity",
                "unit": "%RH",
                "exponent": -1,
                "privacy": 0,
            },
            {"number": 2, "name": "box", "source": "box.status", "privacy": 0},
        ],
        **changes,
    }


def problem(**changes):
    return str(Settings(document(**changes), EUI).problem)


def test_a_channel_takes_unit_and_scale_from_its_quantity_unless_it_has_its_own():
    sampling = Settings(document(), EUI).sampling
    t, rh, status = sampling.channels
    assert (t.described.unit, t.exponent) == ("Cel", -2)
    assert (rh.described.unit, rh.exponent) == ("%RH", -1)
    assert (status.described.unit, status.exponent) == ("", 0)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"devices": {}}, "devices: must hold 1 to 16 devices"),
        (
            {"devices": {"box": {"driver": "sht5x", "bus": "i2c0"}}},
            "devices.box.driver: 'sht5x' is no driver of this node",
        ),
        (
            {"devices": {"box": {"driver": "..settings", "bus": "i2c0"}}},
            "devices.box.driver: '..settings' is no driver",
        ),
        (
            {"devices": {"box": {"driver": "sht4x", "bus": "i2c1"}}},
            "devices.box.bus: 'i2c1' is not in buses",
        ),
        ({"devices": {"box": {"driver": "sht4x"}}}, "devices.box.bus: is missing"),
        (
            {"buses": {"uart2": {"tx": 1, "rx": 2}}, "devices": document()["devices"]},
            "devices.box.bus: 'i2c0' is not in buses",
        ),
        (
            {
                "buses": {"uart2": {"tx": 1, "rx": 2}},
                "devices": {"box": {"driver": "sht4x", "bus": "uart2"}},
            },
            "devices.box.bus: must be of the kind i2c",
        ),
        ({"buses": {"spi0": {}}}, "buses.spi0: is no bus"),
        ({"buses": {"i2c0": {"sda": 21}}}, "buses.i2c0.scl: is missing"),
        ({"buses": {"uart1": {"tx": 1, "rx": 2}}}, "buses.uart1: is the gateway's line"),
        (
            {"devices": {"box": {"driver": "sht4x", "bus": "i2c0", "address": 200}}},
            "devices.box.address: must be a whole number",
        ),
        (
            {"channels": document()["channels"][:2]},
            "devices.box: no channel has the source box.status; add it",
        ),
        (
            {
                "channels": [
                    *document()["channels"],
                    {"number": 3, "name": "p", "source": "box.pressure", "privacy": 0},
                ]
            },
            "channels[3].source: names no quantity of a device",
        ),
        (
            {
                "channels": [
                    {"number": 0, "name": "t", "source": "box.temperature", "unit": "K"},
                ]
            },
            "channels[0].",
        ),
    ],
)
def test_what_is_wrong_with_buses_and_devices_is_told_by_its_key(changes, words):
    assert problem(**changes).startswith(words)


def test_the_unit_of_a_channel_is_that_of_its_quantity():
    channels = document()["channels"]
    channels[0]["unit"] = "K"
    words = "channels[0].unit: must be 'Cel', as box.temperature is; or leave it out"
    assert problem(channels=channels) == words


def test_a_simulated_sensor_has_no_sources():
    assert "channels[0].source" in problem(sensor={"kind": "river"})


def test_a_pushed_configuration_with_devices_is_checked_to_its_last_option(tmp_path):
    path = tmp_path / "settings.json"
    path.write_text(json.dumps(document()))
    check(str(path), EUI)
    wrong = document(devices={"box": {"driver": "sht4x", "bus": "i2c0", "adress": 68}})
    path.write_text(json.dumps(wrong))
    with pytest.raises(SettingsError, match=r"devices.box.adress: means nothing here"):
        check(str(path), EUI)
    assert read_settings(str(path), EUI).problem is None


def readings(bench, channel):
    return [value for _, _, value in bench.gateway.readings(channel)]


def test_a_node_reads_a_chip_flags_what_goes_wrong_and_goes_on(bench):
    chip = {"chip": "sht4x", "address": 68, "temperature": 21.5, "humidity": 40}
    faults = [["absent", 2, 3.2], ["damaged", 8, 9.2]]
    world = {"i2c0": [{**chip, "faults": faults}]}
    (bench.folder / "chips.json").write_text(json.dumps(world))
    bench.settings(**document())
    bench.start()
    bench.run_until(lambda: {1, 2} <= set(readings(bench, 2)) and readings(bench, 2)[-1] == 0)
    assert bench.stop() == 0, bench.output
    assert all(abs(value - 2150) < 5 for value in readings(bench, 0))
    assert all(abs(value - 400) < 5 for value in readings(bench, 1))
    told = readings(bench, 2)
    changes = [new for old, new in zip([None, *told], told, strict=False) if new != old]
    assert changes == [0, 1, 0, 2, 0]
    assert bench.gateway.descriptors[0][0].unit == "Cel"


def test_a_bus_that_the_chip_has_not_makes_its_devices_absent_and_the_node_talks(bench):
    devices = {"box": {"driver": "sht4x", "bus": "i2c7"}}
    bench.settings(**document(buses={"i2c7": {"sda": 21, "scl": 22}}, devices=devices))
    (bench.folder / "chips.json").write_text("{}")
    bench.start()
    bench.run_until(lambda: len(readings(bench, 2)) > 2)
    assert bench.stop() == 0
    assert set(readings(bench, 2)) == {1}
    assert "i2c7: I2C(7) doesn't exist; correct it in settings.json" in bench.output


def test_a_device_that_is_away_keeps_the_others_from_nothing(bench):
    world = {
        "i2c0": [
            {"chip": "sht4x", "address": 68, "temperature": 1, "humidity": 1},
            {"chip": "sht4x", "address": 69, "temperature": 2, "faults": [["absent", 0, 1e9]]},
        ]
    }
    (bench.folder / "chips.json").write_text(json.dumps(world))
    settings = document()
    settings["devices"]["gone"] = {"driver": "sht4x", "bus": "i2c0", "address": 69}
    settings["channels"].append({"number": 3, "name": "gone", "source": "gone.status"})
    settings["channels"][-1]["privacy"] = 0
    bench.settings(**settings)
    bench.start()
    bench.run_until(lambda: len(readings(bench, 0)) > 4 and readings(bench, 3))
    assert set(readings(bench, 3)) == {1}
    assert all(abs(value - 100) < 5 for value in readings(bench, 0))
    assert bench.stop() == 0
