"""Files that settings name, read at the start; secrets only where nobody else can read them."""

import ssl
from pathlib import Path

from lilong_gateway.config_table import Table
from lilong_gateway.errors import ConfigError
from lilong_gateway.key_file import check_private


def read_file(table: Table, key: str, file: Path) -> bytes:
    """Return what a file holds; ConfigError at the key that names it."""
    try:
        return file.read_bytes()
    except OSError as error:
        raise table.error(key, f"{file}: {error.strerror}; check path and owner") from None


def read_password(table: Table, folder: Path, *, alone: bool) -> str | None:
    """Return the text of password_file, None without one; alone: it needs no username."""
    name = table.optional_text("password_file")
    if name is None:
        return None
    if not alone and "username" not in table.keys:
        raise table.error("password_file", "needs a username beside it")
    data = _secret(table, "password_file", folder / name)
    try:
        return data.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        problem = f"{folder / name}: not UTF-8 text; save it as UTF-8"
        raise table.error("password_file", problem) from None


def read_authorities(table: Table, folder: Path) -> Path | None:
    """Return the file of certificates to trust, None for the system's."""
    name = table.optional_text("ca_file")
    if name is None:
        return None
    read_file(table, "ca_file", folder / name)
    try:
        ssl.create_default_context(cafile=folder / name)
    except ssl.SSLError:
        problem = f"{folder / name}: holds no certificates in PEM form"
        raise table.error("ca_file", problem) from None
    return folder / name


def read_identity(table: Table, folder: Path) -> tuple[Path | None, Path | None]:
    """Return the client's certificate and its key (mode 0600), both or neither."""
    certificate, key = table.optional_text("cert_file"), table.optional_text("key_file")
    if certificate is None and key is None:
        return None, None
    if certificate is None:
        raise table.error("key_file", "needs cert_file beside it")
    if key is None:
        raise table.error("cert_file", "needs key_file beside it")
    read_file(table, "cert_file", folder / certificate)
    _secret(table, "key_file", folder / key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        # A password keeps OpenSSL from asking for one on the terminal.
        context.load_cert_chain(folder / certificate, folder / key, password="")
    except (ssl.SSLError, OSError):
        problem = f"{folder / certificate}: no certificate in PEM form that {key} is the key of"
        raise table.error("cert_file", f"{problem}, without a passphrase") from None
    return folder / certificate, folder / key


def _secret(table: Table, key: str, file: Path) -> bytes:
    data = read_file(table, key, file)
    try:
        check_private(file)
    except ConfigError as error:
        raise table.error(key, f"{file}: {error.problem}") from None
    return data
