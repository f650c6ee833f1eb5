"""TLS: the one policy for a registry and its token server (THREATS B4). There is no way to switch checking off."""

import ssl

from puller.contracts.access import NO_TRUST, Trust
from puller.errors import InvalidConfig


def tls_context(trust: Trust = NO_TRUST) -> ssl.SSLContext:
    """Certificates and host names checked, TLS 1.2 at least. The authorities of `trust` join those of the system.

    Raises InvalidConfig for a file that holds no certificate.
    """
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    for file in trust.authorities:
        try:
            context.load_verify_locations(cafile=file)
        except (OSError, ssl.SSLError) as error:
            raise InvalidConfig("cannot use the CA file", where=file, got=str(error)) from error
    return context
