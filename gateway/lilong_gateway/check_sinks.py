"""What `lilong-gateway check` finds of brokers: can they be reached, do they show who they are."""

import socket
import ssl

from lilong_gateway.config_uplink import Uplink
from lilong_gateway.finding import FAILED, OK, Finding
from lilong_gateway.uplink.tls import tls_context

_WAIT_S = 5.0


def check_sink(sink: Uplink) -> Finding:
    """Connect, with TLS where that is set; what the broker says to a client is not asked.

    A client of the same name would end the session of a gateway that runs.
    """
    where = f"{sink.host}:{sink.port} ({sink.name}, {sink.format})"
    try:
        with socket.create_connection((sink.host, sink.port), _wait_s(sink)) as line:
            return Finding("broker", where, OK, _greet(sink, line))
    except ssl.SSLCertVerificationError as error:
        advice = f"its certificate is not trusted ({error.verify_message}); see ca_file"
    except ssl.SSLError as error:
        advice = (
            f"does not agree on TLS ({error.reason}); see port, cert_file and the broker's log"
        )
    except (OSError, UnicodeError) as error:  # a host that cannot be a name is a UnicodeError
        reason = getattr(error, "strerror", None) or str(error) or "no answer"
        advice = f"cannot be reached ({reason}); check network, host and port of [uplink]"
    return Finding("broker", where, FAILED, advice)


def _greet(sink: Uplink, line: socket.socket) -> str:
    """Return what is known of the connection; ssl.SSLError, OSError."""
    if not sink.tls:
        return "not encrypted"
    with tls_context(sink).wrap_socket(line, server_hostname=sink.host) as secure:
        # TLS 1.3: a certificate of ours that is not taken shows in the first answer, if at all.
        return f"{secure.version()}"


def _wait_s(sink: Uplink) -> float:
    return min(sink.timeout_s, _WAIT_S)
