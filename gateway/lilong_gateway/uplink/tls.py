"""Who a broker must be, and who we are to it."""

import ssl

from lilong_gateway.config_uplink import Uplink


def tls_context(settings: Uplink) -> ssl.SSLContext:
    """Return what to connect with; blocks on files. OSError, which names the file."""
    context = ssl.create_default_context(cafile=settings.ca_file)
    if settings.cert_file is not None:
        # A password keeps OpenSSL from asking for one on the terminal.
        context.load_cert_chain(settings.cert_file, settings.key_file, password="")
    return context
