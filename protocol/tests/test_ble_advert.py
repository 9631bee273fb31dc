import pytest

from lilong_protocol import advert
from lilong_protocol.advert import Told, payload, scan_response, seal_advert
from lilong_protocol.advert_reader import AdvertOpener, read_advert
from lilong_protocol.errors import AuthenticationError

KEY = bytes(range(16))
EUI = bytes.fromhex("02004c494c4f4e47")


def told(**changes):
    fields = {
        "alarm": True,
        "raised": True,
        "device_class": 3,
        "waiting": 9,
        "age_s": 70,
        "supply_mv": 3712,
        "channel": 104,
        "seq": 0x1FE,
    }
    return Told(**(fields | changes))


def fields_of(one):
    return {name: getattr(one, name) for name in vars(one)}


def test_what_is_told_comes_back_as_lower_bounds():
    opened = AdvertOpener(KEY).open(seal_advert(KEY, EUI, 7, told()))
    assert fields_of(opened) == {
        "alarm": True,
        "raised": True,
        "device_class": 3,
        "waiting": 8,
        "age_s": 64,
        "supply_mv": 3700,
        "channel": 104,
        "seq": 0xFE,
    }


def test_without_an_alarm_nothing_of_one_is_told():
    opened = AdvertOpener(KEY).open(seal_advert(KEY, EUI, 7, told(alarm=False)))
    assert (opened.alarm, opened.raised, opened.channel, opened.seq) == (False, False, 0, 0)


@pytest.mark.parametrize(
    ("count", "back"), [(0, 0), (1, 1), (3, 2), (16384, 16384), (1 << 40, 16384)]
)
def test_counts_have_no_end(count, back):
    opened = AdvertOpener(KEY).open(seal_advert(KEY, EUI, 7, told(waiting=count, age_s=count)))
    assert (opened.waiting, opened.age_s) == (back, back)


@pytest.mark.parametrize(
    ("supply_mv", "back"), [(None, None), (5, 20), (3300, 3300), (9000, 5100)]
)
def test_the_supply_is_told_in_steps(supply_mv, back):
    opened = AdvertOpener(KEY).open(seal_advert(KEY, EUI, 7, told(supply_mv=supply_mv)))
    assert opened.supply_mv == back


def test_every_bit_is_under_the_tag():
    sealed = seal_advert(KEY, EUI, 7, told())
    opener = AdvertOpener(KEY)
    for bit in range(8 * len(sealed)):
        forged = bytearray(sealed)
        forged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(AuthenticationError):
            opener.open(bytes(forged))


def test_another_key_opens_nothing():
    with pytest.raises(AuthenticationError):
        AdvertOpener(bytes(16)).open(seal_advert(KEY, EUI, 7, told()))


def test_eui_and_counter_stand_in_clear():
    assert read_advert(seal_advert(KEY, EUI, 0xFFFFFFFF, told())) == (EUI, 0xFFFFFFFF)


@pytest.mark.parametrize("size", [0, 23, 25])
def test_other_sizes_are_nobodys(size):
    assert read_advert(b"\x2c" * size) is None
    with pytest.raises(AuthenticationError):
        AdvertOpener(KEY).open(b"\x2c" * size)


def test_both_parts_fit_a_legacy_advertisement():
    data = payload(seal_advert(KEY, EUI, 7, told()))
    assert len(data) == 31
    assert data[:3] == b"\x02\x01\x06"
    assert data[3:7] == b"\x1b\xff" + advert.COMPANY.to_bytes(2, "little")
    answer = scan_response(EUI)
    assert len(answer) == 31
    assert answer.endswith(b"lilong 4e47")
    assert answer[2:18][::-1].hex() == advert.SERVICE.replace("-", "")
