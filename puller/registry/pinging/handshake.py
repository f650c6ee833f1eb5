"""Handshake: whether a server speaks TLS, which, and as whom; and if not, what is the matter.

It is made by hand, on a socket of its own, so that the server's own bytes can be looked at: one that speaks plain HTTP
answers the first message in clear text. No request is ever sent, so where the certificate is wrong it may be looked at
without being believed: that second handshake is only to name it.
"""

import asyncio
import contextlib
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from puller.contracts.access import Trust
from puller.model.text import printable
from puller.registry.pinging.finding import Certificate, Insecurity, Secured, Unsecured, Verdict
from puller.registry.pinging.reach import Dial, Streams, closed

SOON = 14  # days left of a certificate that are worth a warning: time enough to have it renewed
LINGER = 0.5  # seconds for the server to say of our certificate, or of none, what it thinks (TLS 1.3 says it late)
_MOST = 64 << 10  # bytes of a handshake
_SHOWN = 5  # names of a certificate that are told
# X509_V_ERR_… of OpenSSL's x509_vfy.h.
_VERIFY: Final[dict[int, Insecurity]] = {
    9: "not-yet-valid", 10: "expired", 62: "other-name", 64: "other-name",
    18: "unknown-authority", 19: "unknown-authority", 20: "unknown-authority", 21: "unknown-authority",
}  # fmt: skip
_NO_CERTIFICATE: Final = ("CERTIFICATE_REQUIRED", "HANDSHAKE_FAILURE", "BAD_CERTIFICATE", "UNKNOWN_CA", "ACCESS_DENIED")
_OLD: Final = ("UNSUPPORTED_PROTOCOL", "PROTOCOL_VERSION", "WRONG_SSL_VERSION")


@dataclass(frozen=True, slots=True)
class Server:
    """Whom to greet, and at which address; `registry` is its name in references."""

    host: str
    address: str
    port: int
    registry: str
    trust: Trust


async def secured(
    server: Server, context: ssl.SSLContext, dial: Dial, *, within: float, now: Callable[[], float]
) -> Secured | Unsecured:
    """What becomes of a handshake under the rules of `context`. `now` is in seconds since the epoch."""
    proven = context.verify_mode is ssl.CERT_REQUIRED
    outcome = await _tried(server, context, dial, within)
    if isinstance(outcome, _Spoken):
        certificate = _read(outcome.certificate, now())
        soon = certificate is not None and certificate.days < SOON
        return Secured(Verdict.WARN if soon or not proven else Verdict.OK, outcome.version, certificate, proven)
    problem, words = outcome
    certificate = None
    if problem in _VERIFY.values():
        seen = await _tried(server, _lax(), dial, within)
        certificate = _read(seen.certificate, now()) if isinstance(seen, _Spoken) else None
    files = tuple(str(path) for path in server.trust.authorities)
    shown = bool(server.trust.certificates)
    return Unsecured(Verdict.FAIL, problem, server.host, server.registry, words, certificate, files, shown)


async def speaks_tls(server: Server, dial: Dial, *, within: float) -> bool:
    """Whether there is TLS where plain HTTP was expected."""
    outcome = await _tried(server, _lax(), dial, within)
    return isinstance(outcome, _Spoken) or outcome[0] == "client-certificate"


@dataclass(frozen=True, slots=True)
class _Spoken:
    version: str
    certificate: bytes | None


async def _tried(
    server: Server, context: ssl.SSLContext, dial: Dial, within: float
) -> _Spoken | tuple[Insecurity, str]:
    try:
        async with asyncio.timeout(within):
            streams = await dial(server.address, server.port)
            try:
                return await _spoken(streams, context, server.host)
            finally:
                await closed(streams[1])
    except TimeoutError:
        return "silent", f"nothing came in {within:g} s"
    except OSError as error:
        return "cut", error.strerror or type(error).__name__


async def _spoken(streams: Streams, context: ssl.SSLContext, host: str) -> _Spoken | tuple[Insecurity, str]:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_hostname=host)
    talk = _Talk(streams, incoming, outgoing)
    try:
        while not await _stepped(tls, talk):
            pass
        await talk.send()
        version = tls.version() or ""
        if version == "TLSv1.3" and not await _lingered(tls, talk):
            return "client-certificate", "it closes the connection after the handshake"
        return _Spoken(version, tls.getpeercert(binary_form=True))
    except ssl.SSLCertVerificationError as error:
        return _VERIFY.get(error.verify_code, "refused"), printable(error.verify_message, limit=160)
    except ssl.SSLError as error:
        await _sent_quietly(talk)
        return _meant(error.reason or "", talk)
    except EOFError:
        return ("plain-http", "") if talk.is_clear_text else ("cut", "the connection was closed in the handshake")


async def _stepped(tls: ssl.SSLObject, talk: "_Talk") -> bool:
    """Whether the handshake is done."""
    try:
        tls.do_handshake()
    except ssl.SSLWantReadError:
        await talk.send()
        await talk.receive()
        return False
    return True


async def _lingered(tls: ssl.SSLObject, talk: "_Talk") -> bool:
    """Wait for tickets, or for a complaint about a certificate of ours, or of none: an SSLError, or False where the
    server just goes. In TLS 1.3 it learns of it when we have done with the handshake already (RFC 8446 §4.4.2.4).
    """
    try:
        async with asyncio.timeout(LINGER):
            await talk.receive()
    except TimeoutError:
        return True
    except (EOFError, OSError):
        return False
    with contextlib.suppress(ssl.SSLWantReadError, ssl.SSLZeroReturnError):
        tls.read(1)
    return True


async def _sent_quietly(talk: "_Talk") -> None:
    with contextlib.suppress(OSError):
        await talk.send()


def _meant(reason: str, talk: "_Talk") -> tuple[Insecurity, str]:
    if talk.is_clear_text:
        return "plain-http", reason
    if any(word in reason for word in _OLD):
        return "old", reason
    if "ALERT" in reason and any(word in reason for word in _NO_CERTIFICATE):
        return "client-certificate", reason
    return "refused", reason


class _Talk:
    """Carries bytes between a TLS machine and a socket, and remembers how the server began."""

    def __init__(self, streams: Streams, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO) -> None:
        self._reader, self._writer = streams
        self._incoming, self._outgoing = incoming, outgoing
        self._first = b""
        self._received = 0

    @property
    def is_clear_text(self) -> bool:
        """Whether it answered as servers of plain HTTP do: with a status line, the oldest with a page."""
        return self._first.startswith((b"HTTP/", b"<"))

    async def send(self) -> None:
        if self._outgoing.pending:
            self._writer.write(self._outgoing.read())
            await self._writer.drain()

    async def receive(self) -> None:
        """Raises EOFError at the end, and for more than a handshake may have."""
        piece = await self._reader.read(16 << 10)
        self._first = self._first or piece[:8]
        self._received += len(piece)
        if not piece or self._received > _MOST:
            raise EOFError
        self._incoming.write(piece)


def _lax() -> ssl.SSLContext:
    """For a look at a certificate that is not believed. Nothing is ever sent on such a connection."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _read(raw: bytes | None, now: float) -> Certificate | None:
    if raw is None:
        return None
    from cryptography import x509  # only now: pulls need none of it

    try:
        parsed = x509.load_der_x509_certificate(raw)
        until = parsed.not_valid_after_utc
        subject, issuer = _called(parsed.subject), _called(parsed.issuer)
        own = parsed.subject == parsed.issuer
        names = _names(parsed)
    except (ValueError, TypeError, OverflowError):
        return None
    days = (until - datetime.fromtimestamp(now, UTC)).days
    return Certificate(subject, issuer, names, f"{until:%Y-%m-%d}", days, own)


def _called(name: object) -> str:
    from cryptography import x509

    assert isinstance(name, x509.Name)
    values = [str(one.value) for one in name if one.oid in (x509.NameOID.ORGANIZATION_NAME, x509.NameOID.COMMON_NAME)]
    return printable(", ".join(values) or name.rfc4514_string(), limit=120)


def _names(certificate: object) -> tuple[str, ...]:
    from cryptography import x509

    assert isinstance(certificate, x509.Certificate)
    try:
        alternative = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    known = [*alternative.get_values_for_type(x509.DNSName), *alternative.get_values_for_type(x509.IPAddress)]
    return tuple(printable(str(name), limit=80) for name in known[:_SHOWN])
