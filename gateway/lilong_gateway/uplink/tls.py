"""Who a broker must be, and who we are to it."""

import ssl

from lilong_gateway.config_uplink import Uplink


class _Socket(ssl.SSLSocket):
    """Closed at once when the other end is not who it must be."""

    def do_handshake(self, block: bool = False) -> None:  # noqa: FBT001, FBT002 - as inherited
        try:
            super().do_handshake(block)
        except BaseException:
            self.close()
            raise


def tls_context(settings: Uplink) -> ssl.SSLContext:
    """Return what to connect with; blocks on files. OSError, which names the file."""
    context = ssl.create_default_context(cafile=settings.ca_file)
    context.sslsocket_class = _Socket
    if settings.cert_file is not None:
        # A password keeps OpenSSL from asking for one on the terminal.
        context.load_cert_chain(settings.cert_file, settings.key_file, password="")
    return context
