"""TLS: the one policy for a registry and its token server (THREATS B4). There is no way to switch checking off."""

import ssl
from pathlib import Path

from puller.errors import InvalidConfig


def tls_context(ca_file: Path | None = None) -> ssl.SSLContext:
    """Certificates and host names checked, TLS 1.2 at least. The authorities of `ca_file` join those of the system.

    Raises InvalidConfig for a file that holds no certificate.
    """
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca_file is not None:
        try:
            context.load_verify_locations(cafile=ca_file)
        except (OSError, ssl.SSLError) as error:
            raise InvalidConfig("cannot use the CA file", where=ca_file, got=str(error)) from error
    return context
