"""TLS: the one policy for a registry and its token server (THREATS B4). Checking is off for no host but one that was
set up as insecure, by name.
"""

import ssl
from pathlib import Path

from puller.contracts.access import NO_TRUST, Trust
from puller.errors import InvalidConfig

_PAIR_HINT = "Certificate and key are PEM files; the key stands without a password."


def tls_context(trust: Trust = NO_TRUST) -> ssl.SSLContext:
    """Certificates and host names checked, TLS 1.2 at least. The authorities of `trust` join those of the system.

    Its certificates are shown to a server that asks for one; of several with keys of one kind the last one is.
    Raises InvalidConfig for a file that holds no certificate, and for pairs that are none.
    """
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    for file in trust.authorities:
        try:
            context.load_verify_locations(cafile=file)
        except (OSError, ssl.SSLError) as error:
            raise InvalidConfig("cannot use the CA file", where=file, got=str(error)) from error
    for certificate, key in trust.certificates:
        _load_pair(context, certificate, key)
    return context


def unproven_context(trust: Trust = NO_TRUST) -> ssl.SSLContext:
    """For a host that was set up as insecure, and for no other: it may be anybody. Raises as `tls_context`."""
    context = tls_context(Trust(certificates=trust.certificates))
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _load_pair(context: ssl.SSLContext, certificate: Path, key: Path) -> None:
    # OpenSSL names neither the file nor what is wrong with it.
    _expect(certificate, b"-----BEGIN CERTIFICATE-----", "a client certificate")
    _expect(key, b"PRIVATE KEY-----", "a client's key")
    try:
        context.load_cert_chain(certificate, key, password=_no_password)
    except _Encrypted:
        hint = "Write it once more without: openssl pkey -in FILE -out FILE."
        raise InvalidConfig("the client's key wants a password", where=key, hint=hint) from None
    except (OSError, ssl.SSLError) as error:
        reason = getattr(error, "reason", None) or type(error).__name__
        what = "certificate and key do not belong together" if "MISMATCH" in reason else "not a client certificate"
        raise InvalidConfig(what, where=f"{certificate}, {key}", got=reason, hint=_PAIR_HINT) from error


def _expect(file: Path, mark: bytes, noun: str) -> None:
    try:
        raw = file.read_bytes()
    except OSError as error:
        raise InvalidConfig(f"cannot read {noun}", where=file, got=error.strerror) from error
    if mark not in raw:
        raise InvalidConfig(f"not {noun}", where=file, hint=_PAIR_HINT)


class _Encrypted(Exception):
    """A key that only its owner can use."""


def _no_password() -> str:
    raise _Encrypted  # else OpenSSL would ask on the terminal, and all else would stand still
