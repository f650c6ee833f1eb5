"""Handshake: each way in which TLS can be wrong is found out and told apart from the others."""

import asyncio
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from puller.contracts.access import Endpoint, Protection, Trust
from puller.registry.pinging.finding import (
    Greeted,
    Secured,
    SetUp,
    Unsecured,
    Verdict,
)
from puller.registry.pinging.handshake import SOON, Server, secured
from puller.registry.routes import Direct
from puller.registry.transport.tls import tls_context
from testregistry import TestRegistry, certificates, serve
from tests.registry.mirrors.several import Listed as Listing
from tests.registry.pinging.asking import findings, is_usable, one

pytestmark = pytest.mark.slow  # many small tests: for `make test`


@pytest.fixture
def authority(tmp_path: Path) -> certificates.Authority:
    return certificates.Authority(tmp_path)


async def test_a_registry_that_speaks_tls_is_told_with_its_certificate(authority: certificates.Authority) -> None:
    async with serve(tls=authority.server()) as registry:
        found = await findings(registry.host, ca_file=authority.file)
    assert is_usable(found)
    shown = one(found, Secured)
    assert (shown.version, shown.proven) == ("TLSv1.3", True)
    assert shown.certificate is not None
    assert shown.certificate.issuer == "testregistry authority"
    assert shown.certificate.days > 30_000
    assert one(found, SetUp).authorities == (str(authority.file),)


async def test_b1_plain_http_where_tls_is_due_is_told_and_no_request_is_sent(authority: certificates.Authority) -> None:
    async with serve() as registry:
        found = await findings(registry.host, ca_file=authority.file)
        assert [request.path for request in registry.journal if request.path.startswith("/v2")] == []
    assert one(found, Unsecured).problem == "plain-http"
    assert one(found, Unsecured).registry == registry.host


async def test_tls_where_plain_http_is_expected_is_told(authority: certificates.Authority) -> None:
    async with serve(tls=authority.server()) as registry:
        found = await findings(registry.host)
    assert one(found, Greeted).problem == "speaks-tls"


async def test_an_authority_that_is_not_known_is_named(authority: certificates.Authority, tmp_path: Path) -> None:
    folder = tmp_path / "other"
    folder.mkdir()
    async with serve(tls=certificates.Authority(folder, "stranger").server()) as registry:
        found = await findings(registry.host, ca_file=authority.file)
        assert len(registry.journal) == 0
    shown = one(found, Unsecured)
    assert shown.problem == "unknown-authority"
    assert shown.certificate is not None
    assert shown.certificate.issuer == "stranger"
    assert shown.authorities == (str(authority.file),)


async def test_an_expired_certificate_is_told_with_its_date(authority: certificates.Authority) -> None:
    async with serve(tls=authority.server(expired=True)) as registry:
        found = await findings(registry.host, ca_file=authority.file)
    shown = one(found, Unsecured)
    assert shown.problem == "expired"
    assert shown.certificate is not None
    assert shown.certificate.until == "2020-01-02"
    assert shown.certificate.days < 0


async def test_a_certificate_that_ends_soon_is_a_warning(authority: certificates.Authority) -> None:
    # The certificate's end, less some days, by the clock that is handed in.
    end = 4_733_510_400.0  # 2120-01-01
    async with serve(tls=authority.server()) as registry:
        server = _server(registry, authority)
        context = tls_context(server.trust)
        late = await secured(server, context, asyncio.open_connection, within=5, now=lambda: end - 86_400 * (SOON - 1))
        early = await secured(server, context, asyncio.open_connection, within=5, now=lambda: end - 86_400 * (SOON + 1))
    assert (late.verdict, early.verdict) == (Verdict.WARN, Verdict.OK)


async def test_a_certificate_of_another_name_is_told_with_the_names_it_has(authority: certificates.Authority) -> None:
    async with serve(tls=authority.server("other.test")) as registry:
        found = await findings(registry.host, ca_file=authority.file)
    shown = one(found, Unsecured)
    assert shown.problem == "other-name"
    assert shown.certificate is not None
    assert shown.certificate.names == ("other.test",)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_server_that_wants_a_client_certificate_is_told(
    authority: certificates.Authority, version: ssl.TLSVersion
) -> None:
    with _alerting(authority, version) as port:
        server = Server("127.0.0.1", "127.0.0.1", port, f"127.0.0.1:{port}", Trust((authority.file,)))
        found = await secured(server, tls_context(server.trust), asyncio.open_connection, within=5, now=lambda: 0.0)
    assert isinstance(found, Unsecured)
    assert found.problem == "client-certificate"


async def test_a_server_that_goes_without_a_client_certificate_is_told(authority: certificates.Authority) -> None:
    async with serve(tls=authority.server(clients=authority)) as registry:
        found = await findings(registry.host, ca_file=authority.file)
    assert one(found, Unsecured).problem == "client-certificate"


async def test_a_client_certificate_that_is_set_up_is_shown(authority: certificates.Authority) -> None:
    pair = authority.pair()
    async with serve(tls=authority.server(clients=authority)) as registry:
        routes = Direct(Trust((authority.file,), (pair,)))
        found = await findings(registry.host, ca_file=authority.file, routes=routes)
    assert is_usable(found)
    assert one(found, SetUp).certificates == (str(pair[0]),)


async def test_a_host_that_closes_the_handshake_is_told(authority: certificates.Authority) -> None:
    async def shut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.close()

    async with await asyncio.start_server(shut, "127.0.0.1", 0) as closing:
        port = closing.sockets[0].getsockname()[1]
        found = await findings(f"127.0.0.1:{port}", ca_file=authority.file)
    assert one(found, Unsecured).problem == "cut"


async def test_a_host_that_says_nothing_is_told() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with await asyncio.start_server(silent, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        server = Server("127.0.0.1", "127.0.0.1", port, "it", Trust())
        found = await secured(server, tls_context(), asyncio.open_connection, within=0.1, now=lambda: 0.0)
    assert isinstance(found, Unsecured)
    assert found.problem == "silent"


async def test_a_host_that_never_ends_its_handshake_is_given_up() -> None:
    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        record = b"\x16\x03\x03\x40\x00" + b"\x0b\xff\xff\xff" + bytes(0x4000 - 4)
        try:
            while True:
                writer.write(record)
                await writer.drain()
        except OSError:
            writer.close()

    async with await asyncio.start_server(flood, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        server = Server("127.0.0.1", "127.0.0.1", port, "it", Trust())
        found = await secured(server, tls_context(), asyncio.open_connection, within=5, now=lambda: 0.0)
    assert isinstance(found, Unsecured)
    assert found.problem in ("cut", "refused")


async def test_a_host_that_is_set_up_as_insecure_is_warned_of(authority: certificates.Authority) -> None:
    async with serve(tls=authority.server(expired=True)) as registry:
        routes = Listing([Endpoint(registry.host, "ping", Protection.ANY)])
        found = await findings(registry.host, routes=routes)
    assert is_usable(found)
    assert (one(found, Secured).proven, one(found, Secured).verdict) == (False, Verdict.WARN)


def _server(registry: TestRegistry, authority: certificates.Authority) -> Server:
    port = int(registry.host.rpartition(":")[2])
    return Server("127.0.0.1", "127.0.0.1", port, registry.host, Trust((authority.file,)))


@contextmanager
def _alerting(authority: certificates.Authority, version: ssl.TLSVersion) -> Iterator[int]:
    """A server that says why it ends a handshake, as servers other than asyncio's do; its port."""
    context = authority.server(clients=authority)
    context.maximum_version = version
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def once() -> None:
            connection, _ = listening.accept()
            with connection:
                secured = context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
                with secured, suppress(OSError):
                    secured.do_handshake()

        thread = threading.Thread(target=once)
        thread.start()
        yield listening.getsockname()[1]
        thread.join(10)
