import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from lilong_gateway.config import Config, Downlink, load_config
from lilong_gateway.config_http import Http
from lilong_gateway.config_links import Ble
from lilong_gateway.config_store import Storage
from lilong_gateway.config_uplink import Uplink
from lilong_gateway.errors import ConfigError

GOOD = """\
[gateway]
id = "gw-1"
site = "s1"
data = "data"
[nodes]
keys = "nodes.toml"
[serial]
ports = [
  "/dev/ttyUSB*",
]
[uplink]
host = "broker"
"""

WORD = "geheim"

EXAMPLE = Path(__file__).parents[1] / "gateway.example.toml"


def load(folder: Path, text: str) -> Config:
    file = folder / "gateway.toml"
    file.write_text(text, encoding="utf-8")
    return load_config(file)


def test_the_example_loads() -> None:
    config = load_config(EXAMPLE)
    assert (config.id, config.uplinks[0].port, config.grants) == ("gw-1", 1883, ())


def test_every_setting_that_the_example_shows_is_known(tmp_path: Path) -> None:
    write_password(tmp_path)
    (tmp_path / "ca.pem").write_bytes(certificate())
    (tmp_path / "release.key.pub").write_bytes(bytes(64))
    write_identity(tmp_path)
    shown = re.compile(r"^# (?=[a-zP0-3_]+ = |\[+[a-z._]+\]+$)", re.MULTILINE)
    text = shown.sub("", EXAMPLE.read_text(encoding="utf-8"))
    config = load(tmp_path, text.replace("tls = false", "tls = true"))
    (sink,) = config.uplinks
    assert sink.password == WORD
    assert config.grants[0].classes == {3}
    assert config.ble == Ble(adapters=("hci0",))
    assert config.downlink == replace(
        Downlink(),
        updates=tmp_path / "updates",
        configurations=tmp_path / "configurations",
        keys=(bytes(32), bytes(32)),
    )
    assert sink == replace(
        Uplink(host=sink.host, username="gw-1", password=WORD, tls=True, device="gw-1"),
        ca_file=tmp_path / "ca.pem",
        cert_file=tmp_path / "gateway.pem",
        key_file=tmp_path / "gateway.key",
    )
    assert (config.storage, config.http) == (Storage(), Http())


def certificate() -> bytes:
    """Make a certificate in PEM form."""
    return pair()[0]


def pair() -> tuple[bytes, bytes]:
    """Make a certificate and its key in PEM form."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a city")])
    since = datetime(2025, 1, 1, tzinfo=UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, since, since + timedelta(1))
    certificate = made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return certificate, key.private_bytes(serialization.Encoding.PEM, *form)


def write_identity(folder: Path, mode: int = 0o600) -> None:
    certificate, key = pair()
    (folder / "gateway.pem").write_bytes(certificate)
    (folder / "gateway.key").write_bytes(key)
    (folder / "gateway.key").chmod(mode)


def write_password(folder: Path, mode: int = 0o600) -> None:
    file = folder / "password"
    file.write_text(f"{WORD}\n", encoding="utf-8")
    file.chmod(mode)


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    config = load(tmp_path, GOOD)
    assert config.data == tmp_path / "data"
    assert config.keys == tmp_path / "nodes.toml"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[serial]", "[serail]", 'gateway.toml:7: serail: unknown key; did you mean "serial"?'),
        (
            "[uplink]",
            "boud = 9600\n[uplink]",
            'gateway.toml:11: serial.boud: unknown key; did you mean "baud"?',
        ),
        (
            "[uplink]",
            "baud = 9\n[uplink]",
            "gateway.toml:11: serial.baud: must lie between 300 and 4000000, not 9",
        ),
        (
            "[uplink]",
            'baud = "fast"\n[uplink]',
            'gateway.toml:11: serial.baud: expected a whole number, found "fast"',
        ),
        (
            "[uplink]",
            "baud = true\n[uplink]",
            "gateway.toml:11: serial.baud: expected a whole number, found true",
        ),
        (
            '"/dev/ttyUSB*",',
            "",
            'gateway.toml:8: serial.ports: name at least one port, such as "/dev/ttyUSB*"',
        ),
        (
            '"/dev/ttyUSB*"',
            '"ttyUSB0"',
            'gateway.toml:8: serial.ports: "ttyUSB0" must be a whole path, such as "/dev/ttyUSB0"',
        ),
        (
            '"/dev/ttyUSB*"',
            '"socket://x"',
            'gateway.toml:8: serial.ports: "socket://x" is not socket://host:port',
        ),
        (
            'id = "gw-1"',
            'id = "gw 1"',
            'gateway.toml:2: gateway.id: "gw 1" must be 1 to 40 letters, digits, "_" or "-"',
        ),
        (
            'id = "gw-1"\n',
            "",
            'gateway.toml:1: gateway: "id" is missing; write id = ... under [gateway]',
        ),
        (
            '[nodes]\nkeys = "nodes.toml"\n',
            "",
            'gateway.toml: nodes: "keys" is missing; write keys = ... under [nodes]',
        ),
        (
            'host = "broker"',
            'host = "broker"\nversion = "3.1"',
            (
                'gateway.toml:13: uplink.version: must be one of "auto", "5", "3.1.1", not "3.1"; '
                'did you mean "3.1.1"?'
            ),
        ),
        (
            'host = "broker"',
            'host = "broker"\npassword = "x"',
            (
                "gateway.toml:13: uplink.password: no secrets here; "
                "put it in a file named by password_file"
            ),
        ),
        (
            'host = "broker"',
            'host = "broker"\ntimeout_s = nan',
            "gateway.toml:13: uplink.timeout_s: must lie between 0.1 and 300 s, not nan",
        ),
        (
            'host = "broker"',
            'host = "broker"\nhost = "b"',
            "gateway.toml:13: not TOML: Cannot overwrite a value; correct this line",
        ),
        (
            'host = "broker"',
            'host = "broker',
            "gateway.toml:12: not TOML: Illegal character '\\n'; correct this line",
        ),
        (
            "[uplink]",
            '[privacy]\nrelease = ["P0", "P2"]\n[uplink]',
            (
                "gateway.toml:12: privacy.release: P2 and P3 are never released for all; "
                "write a [[privacy.grant]] per node"
            ),
        ),
        (
            "[uplink]",
            (
                '[[privacy.grant]]\nnode = "0a1b2c3d4e5f6071"\nclasses = ["P3"]\nreason = "r"\n'
                '[[privacy.grant]]\nnode = "0a1b"\nclasses = ["P3"]\nreason = "r"\n[uplink]'
            ),
            "gateway.toml:16: privacy.grant[2].node: not an EUI-64; write 16 hex digits in quotes",
        ),
        (
            "[uplink]",
            '[log]\nlevel = """\nloud"""\nlevels = 1\n[uplink]',
            'gateway.toml:14: log.levels: unknown key; did you mean "level"?',
        ),
    ],
)
def test_a_wrong_file_is_one_line_with_place_and_remedy(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, GOOD.replace(old, new))
    assert str(caught.value) == message


def test_an_absent_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file or directory; check the path"):
        load_config(tmp_path / "none.toml")


def test_the_password_is_read_from_its_file_and_never_shown(tmp_path: Path) -> None:
    write_password(tmp_path)
    config = load(tmp_path, GOOD + 'username = "u"\npassword_file = "password"\n')
    assert config.uplinks[0].password == WORD
    assert WORD not in repr(config)


def test_a_password_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    write_password(tmp_path, 0o644)
    with pytest.raises(ConfigError, match=r"gateway.toml:14: uplink.password_file: .*chmod 600"):
        load(tmp_path, GOOD + 'username = "u"\npassword_file = "password"\n')


def test_certificates_that_are_none_are_said_at_once(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("certificate", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"uplink.ca_file: .*holds no certificates in PEM form"):
        load(tmp_path, GOOD + 'tls = true\nca_file = "ca.pem"\n')


def test_a_password_that_is_no_text_is_said_and_not_shown(tmp_path: Path) -> None:
    write_password(tmp_path)
    (tmp_path / "password").write_bytes(WORD.encode() + b"\xff")
    with pytest.raises(ConfigError, match=r"uplink.password_file: .*not UTF-8 text") as caught:
        load(tmp_path, GOOD + 'username = "u"\npassword_file = "password"\n')
    assert WORD not in str(caught.value)


@pytest.mark.parametrize("port", ["socket://host:0", "socket://host:70000"])
def test_a_tcp_port_that_cannot_be_is_refused(tmp_path: Path, port: str) -> None:
    with pytest.raises(ConfigError, match="is not socket://host:port"):
        load(tmp_path, GOOD.replace("/dev/ttyUSB*", port))


def test_a_path_that_the_system_cannot_take_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"gateway.data: holds a NUL character"):
        load(tmp_path, GOOD.replace('"data"', '"da\\u0000ta"'))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('update_keys = "k.pub"', "nodes.update_keys: needs updates beside it"),
        ("updates_at_once = 2", "nodes.updates_at_once: needs updates beside it"),
        ("updates_failures = 2", "nodes.updates_failures: needs updates beside it"),
        ('updates = "u"\nupdates_at_once = 0', "must lie between 1 and 1000, not 0"),
        ('updates = "u"\nupdate_keys = "gateway.toml"', "gateway.toml: no file of public keys"),
        ('updates = "u"\nupdate_keys = "k.pub"', "k.pub: No such file or directory"),
    ],
)
def test_a_setting_of_updates_that_cannot_work_is_refused(
    tmp_path: Path, line: str, message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, GOOD.replace("[serial]", f"{line}\n[serial]"))
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("", 'ble: "adapters" is missing'),
        ("adapters = []", 'ble.adapters: name at least one adapter, such as "hci0"'),
        ('adapters = ["bluetooth"]', '"bluetooth" is no adapter'),
        ('adapters = ["hci0", "hci0"]', "one adapter stands there twice"),
        ('adapters = ["hci0"]\nslots = 0', "must lie between 1 and 64, not 0"),
        ('adapters = ["hci0"]\nscan = "activ"', 'did you mean "active"?'),
        ('adapters = ["hci0"]\nvisit_every_s = 1', "must lie between 5 and 86400, not 1"),
        ('adaptors = ["hci0"]', 'unknown key; did you mean "adapters"?'),
    ],
)
def test_a_setting_of_ble_that_cannot_work_is_refused(
    tmp_path: Path, table: str, message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, f"{GOOD}\n[ble]\n{table}\n")
    assert message in str(caught.value)


def test_a_gateway_with_ble_needs_no_serial_ports(tmp_path: Path) -> None:
    config = load(
        tmp_path,
        GOOD.replace('[serial]\nports = [\n  "/dev/ttyUSB*",\n]\n', "")
        + '\n[ble]\nadapters = ["hci1", "hci0"]\nscan = "passive"\n',
    )
    assert config.ports == ()
    assert (config.ble.adapters, config.ble.scan) == (("hci1", "hci0"), "passive")


SEVERAL = GOOD.replace(
    '[uplink]\nhost = "broker"\n',
    """\
[[uplink]]
name = "city"
host = "broker"
[[uplink]]
name = "police"
host = "other"
format = "event+json"
streams = ["alarm"]
nodes = ["0a1b2c3d4e5f6071"]
channels = ["level*"]
start = "now"
""",
)


def test_several_sinks_have_each_its_own_settings(tmp_path: Path) -> None:
    city, police = load(tmp_path, SEVERAL).uplinks
    assert (city.name, city.streams, city.nodes) == ("city", {0, 1, 2, 3}, frozenset())
    assert (police.name, police.streams, police.start) == ("police", {0}, "now")
    assert (police.nodes, police.channels) == ({bytes.fromhex("0a1b2c3d4e5f6071")}, ("level*",))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('name = "police"', 'name = "city"', 'uplink[2].name: "city" names two sinks; give'),
        ('name = "police"\n', "", 'uplink[2]: "name" is missing; write name = ...'),
        ('["alarm"]', '["alarms"]', 'uplink[2].streams: "alarms" is no stream; the streams are'),
        ('["alarm"]', "[]", "uplink[2].streams: nothing would go there; name a stream, or"),
        ('"0a1b2c3d4e5f6071"', '"0a1b"', 'uplink[2].nodes: "0a1b" is not an EUI-64; write 16'),
        ('"event+json"', '"iotda"', "uplink[2].device: iotda needs the id that the platform gave"),
        (
            '"event+json"',
            '"thingsboard"\nconfirm = "city"',
            'uplink[2].confirm: "city" waits for receipts, which thingsboard has not',
        ),
        (
            '"event+json"',
            '"thingsboard"\ndevice = "a/b"',
            'uplink[2].device: must not hold "/", "+", "#" or control characters',
        ),
    ],
)
def test_a_wrong_sink_is_named_with_its_number(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, SEVERAL.replace(old, new))
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("mode", "settings", "message"),
    [
        (0o644, 'tls = true\ncert_file = "gateway.pem"\nkey_file = "gateway.key"', "mode 0644"),
        (0o600, 'cert_file = "gateway.pem"\nkey_file = "gateway.key"', "needs tls = true"),
        (0o600, 'tls = true\ncert_file = "gateway.pem"', "cert_file: needs key_file beside it"),
        (0o600, 'tls = true\nkey_file = "gateway.key"', "key_file: needs cert_file beside it"),
        (
            0o600,
            'tls = true\ncert_file = "ca.pem"\nkey_file = "gateway.key"',
            "ca.pem: no certificate in PEM form that gateway.key is the key of",
        ),
    ],
)
def test_an_identity_that_cannot_be_used_is_refused(
    tmp_path: Path, mode: int, settings: str, message: str
) -> None:
    write_identity(tmp_path, mode)
    (tmp_path / "ca.pem").write_bytes(certificate())
    with pytest.raises(ConfigError, match=message):
        load(tmp_path, GOOD + settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("[store]\nmax_bytes = 1000", "store.max_bytes: must lie between 33554432 and"),
        (
            "[store.keep_s]\nP4 = 100",
            "store.keep_s.P4: unknown key; remove it (known here: P0, P1,",
        ),
        ("[store.keep_s]\nP2 = 1", "store.keep_s.P2: must lie between 60 and"),
        ('[http]\nhost = "gateway"', 'http.host: "gateway" must be an address of this machine'),
        ("[http]\nport = 0", "http.port: must lie between 1 and 65535, not 0"),
        ('[log]\nformat = "xml"', 'log.format: must be one of "text", "json", not "xml"'),
    ],
)
def test_wrong_limits_and_addresses_are_refused(
    tmp_path: Path, settings: str, message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, GOOD + settings)
    assert message in str(caught.value)


def test_a_class_keeps_its_limit_unless_another_is_set(tmp_path: Path) -> None:
    storage = load(tmp_path, GOOD + "[store.keep_s]\nP0 = 100\nP2 = 60").storage
    assert storage.keep_s == (100, None, 60, 86_400)
