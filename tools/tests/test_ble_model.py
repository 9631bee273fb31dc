import pytest

from lilong_tools.radio.model import RadioModel

K = 1000


@pytest.mark.parametrize(
    ("phy", "data_length", "mtu", "us", "kilobytes"),
    [
        (1, 27, 23, 708, 28.2),
        (1, 27, 185, 4956, 36.7),
        (1, 27, 247, 6928, 35.2),
        (1, 251, 23, 708, 28.2),
        (1, 251, 185, 2004, 90.8),
        (1, 251, 247, 2500, 97.6),
        (2, 251, 185, 1160, 156.9),
        (2, 251, 247, 1408, 173.3),
    ],
)
def test_a_notification_takes_the_time_that_its_packets_take(phy, data_length, mtu, us, kilobytes):
    model = RadioModel(phy=phy, data_length=data_length, encrypted=True)
    assert model.notification_us(mtu) == us
    assert model.radio_limit(mtu) / K == pytest.approx(kilobytes, abs=0.05)


@pytest.mark.parametrize(
    ("interval_ms", "packets", "mtu", "kilobytes"),
    [
        (7.5, 1, 247, 32.5),
        (7.5, 4, 247, 65.1),
        (7.5, 6, 23, 16.0),
        (15, 6, 247, 81.3),
        (30, 4, 247, 32.5),
        (30, 6, 247, 48.8),
        (30, 6, 23, 4.0),
        (30, 99, 247, 89.5),
        (50, 6, 247, 29.3),
        (100, 6, 247, 14.6),
        (100, 99, 247, 95.2),
    ],
)
def test_goodput_is_what_fits_into_connection_events(interval_ms, packets, mtu, kilobytes):
    model = RadioModel(interval_ms=interval_ms, packets_per_event=packets, encrypted=True)
    assert model.goodput_limit(mtu) / K == pytest.approx(kilobytes, abs=0.06)


def test_lost_events_carry_nothing():
    sound, lossy = RadioModel(), RadioModel(event_loss=0.25)
    assert lossy.goodput_limit(247) == pytest.approx(0.75 * sound.goodput_limit(247))


def test_adverts_collide_the_more_the_more_there_are():
    model = RadioModel(advert_loss=0.1)
    assert model.advert_heard(31, 0) == pytest.approx(0.9)
    assert model.advert_us(31) == 376
    assert model.advert_heard(31, 500) == pytest.approx(0.9 * 0.687, abs=0.001)
    assert RadioModel(collisions=False).advert_heard(31, 500) == 1
