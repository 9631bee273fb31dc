from lilong_gateway.config_uplink import Uplink
from lilong_gateway.uplink.login import login_of

WORD = "geheim"


def test_a_sink_logs_in_with_its_own_name_and_password() -> None:
    login = login_of(Uplink("h", username="gw-1", password=WORD), "lilong-s-g")(0)
    assert (login.client_id, login.username, login.password) == ("lilong-s-g", "gw-1", WORD)
    assert WORD not in repr(login)


def test_iotda_is_given_the_hour_and_the_secret_signed_with_it() -> None:
    sink = Uplink("h", format="iotda", device="64f0_gw", password=WORD)
    login = login_of(sink, "lilong-s-g")(1_772_600_767_125)
    assert login.client_id == "64f0_gw_0_0_2026030405"
    assert login.username == "64f0_gw"
    # printf geheim | openssl dgst -sha256 -hmac 2026030405
    signature = "771fe802d6e72ddbd6f8f18da799190f9ff7405e415301cc8408b29993bb215d"
    assert login.password == signature
    assert WORD not in repr(login)


def test_iotda_with_a_certificate_needs_no_secret() -> None:
    login = login_of(Uplink("h", format="iotda", device="gw"), "lilong-s-g")(0)
    assert (login.client_id, login.username, login.password) == ("gw_0_0_1970010100", "gw", None)
