import socket
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from lilong_gateway.check_sinks import check_sink
from lilong_gateway.config_uplink import Uplink
from lilong_gateway.finding import FAILED, OK


def write_certificate(folder: Path) -> Path:
    """Write certificate and key of 127.0.0.1, which signs itself, into one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a broker")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    file = folder / "broker.pem"
    file.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, *form)
    )
    return file


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    return write_certificate(tmp_path)


@pytest.fixture
def secure_port(certificate: Path) -> Iterator[int]:
    """A server that shakes hands in TLS and says nothing more."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=shake_hands, args=(server, context))
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


def shake_hands(server: socket.socket, context: ssl.SSLContext) -> None:
    while True:
        try:
            line, _ = server.accept()
        except OSError:
            return
        with line:
            try:
                context.wrap_socket(line, server_side=True).close()
            except OSError:
                continue


def test_a_broker_that_shows_who_it_is_passes(secure_port: int, certificate: Path) -> None:
    found = check_sink(Uplink("127.0.0.1", secure_port, tls=True, ca_file=certificate))
    assert (found.verdict, found.advice) == (OK, "TLSv1.3")


def test_a_stranger_in_the_brokers_place_is_named(secure_port: int) -> None:
    found = check_sink(Uplink("127.0.0.1", secure_port, tls=True))
    assert found.verdict == FAILED
    assert "its certificate is not trusted" in found.advice


def test_a_broker_without_tls_is_told_from_one_with_it(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        plain = check_sink(Uplink("127.0.0.1", port))
        thread = threading.Thread(target=answer_in_plain_words, args=(server,))
        thread.start()
        found = check_sink(Uplink("127.0.0.1", port, tls=True))
        thread.join()
    assert (plain.verdict, plain.advice) == (OK, "not encrypted")
    assert found.verdict == FAILED
    assert "does not agree on TLS" in found.advice


def answer_in_plain_words(server: socket.socket) -> None:
    for _ in range(2):  # the first one is the connection before
        line, _ = server.accept()
        with line:
            line.sendall(b"\x20\x02\x00\x01")


def test_each_sink_is_named_with_where_it_is() -> None:
    found = check_sink(Uplink("127.0.0.1", 1, name="police", format="event+json"))
    assert found.what == "broker"
    assert found.where == "127.0.0.1:1 (police, event+json)"
    assert "Connection refused" in found.advice
