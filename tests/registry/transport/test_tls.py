"""How hosts prove themselves and how we do; and to whom our certificate is shown, of all that are met on a way."""

import asyncio
import gc
import ssl
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from puller.contracts.access import Trust
from puller.errors import ConnectionLost, InvalidConfig, TLSFailure
from puller.model.reference import Reference
from puller.registry.client import RegistryClient
from puller.registry.transport.proxy import STRAIGHT
from puller.registry.transport.tls import tls_context
from testregistry import Bearer, TestRegistry, faults, serve
from testregistry.answer import Answer
from testregistry.body import BytesBody
from testregistry.canary import Canary, serve_canary
from testregistry.certificates import Authority
from tests.registry.scene import described, fetched
from tests.registry.transport.behind import LARGE, LOGIN, SMALL, WANTED, asked


def test_certificates_and_names_are_checked_and_old_versions_refused() -> None:
    context = tls_context()
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2


def test_a_given_authority_joins_those_of_the_system(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    assert len(tls_context(Trust((authority.file,))).get_ca_certs()) == len(tls_context().get_ca_certs()) + 1


@pytest.mark.parametrize(
    "content", ["", "no certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
)
def test_a_file_without_certificates_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "ca.pem").write_text(content)
    with pytest.raises(InvalidConfig):
        tls_context(Trust((tmp_path / "ca.pem",)))


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfig, match="none"):
        tls_context(Trust((tmp_path / "none.pem",)))


def contexts() -> list[ssl.SSLContext]:
    """All that there are."""
    return [found for found in gc.get_objects() if isinstance(found, ssl.SSLContext)]


async def test_hosts_that_are_trusted_alike_share_a_context_and_clients_share_none(tmp_path: Path) -> None:
    """To read the authorities of a system takes longer than to ask a registry."""
    authority = Authority(tmp_path)
    async with serve(tls=authority.server()) as one, serve(tls=authority.server()) as other:
        before = contexts()
        async with RegistryClient(ca_file=authority.file) as first, RegistryClient(ca_file=authority.file) as second:
            for client in (first, first, second):
                for registry in (one, other):
                    repository = client.repository(Reference.parse(f"{registry.host}/app"))
                    assert not await repository.exists(described(SMALL))
            made = [context for context in contexts() if all(context is not known for known in before)]
            assert len(made) == 2


# Client certificates: the files ---------------------------------------------------------------------------------------


def pairs(*pair: Path) -> Trust:
    return Trust(certificates=((pair[0], pair[1]),))


def test_a_pair_is_loaded(tmp_path: Path) -> None:
    tls_context(pairs(*Authority(tmp_path).pair()))


def test_both_may_be_in_one_file(tmp_path: Path) -> None:
    certificate, key = Authority(tmp_path).pair()
    (tmp_path / "both.pem").write_text(certificate.read_text() + key.read_text())
    tls_context(pairs(tmp_path / "both.pem", tmp_path / "both.pem"))


@pytest.mark.parametrize("missing", [0, 1])
def test_a_missing_file_of_a_pair_is_named(tmp_path: Path, missing: int) -> None:
    pair = list(Authority(tmp_path).pair())
    pair[missing] = tmp_path / "none.pem"
    with pytest.raises(InvalidConfig) as caught:
        tls_context(pairs(*pair))
    assert caught.value.where == tmp_path / "none.pem"


@pytest.mark.parametrize("wrong", [0, 1])
def test_a_file_that_holds_something_else_is_named(tmp_path: Path, wrong: int) -> None:
    pair = list(Authority(tmp_path).pair())
    pair[wrong] = pair[1 - wrong]
    with pytest.raises(InvalidConfig) as caught:
        tls_context(pairs(*pair))
    assert caught.value.where == pair[wrong]


def test_a_certificate_with_the_key_of_another_is_refused_and_both_are_named(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    certificate, other = authority.pair("one")[0], authority.pair("other")[1]
    with pytest.raises(InvalidConfig, match="do not belong together") as caught:
        tls_context(pairs(certificate, other))
    assert caught.value.where == f"{certificate}, {other}"


def test_a_damaged_certificate_is_refused(tmp_path: Path) -> None:
    certificate, key = Authority(tmp_path).pair()
    certificate.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    with pytest.raises(InvalidConfig, match="not a client certificate"):
        tls_context(pairs(certificate, key))


@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
def test_a_key_that_wants_a_password_is_refused_and_nobody_is_asked_for_it(tmp_path: Path, form: PrivateFormat) -> None:
    certificate, key = Authority(tmp_path).pair()
    secret = load_pem_private_key(key.read_bytes(), None)
    key.write_bytes(secret.private_bytes(Encoding.PEM, form, BestAvailableEncryption(b"marker")))
    with pytest.raises(InvalidConfig, match="wants a password") as caught:
        tls_context(pairs(certificate, key))
    assert caught.value.where == key
    assert caught.value.__cause__ is None


# Client certificates: who is shown one --------------------------------------------------------------------------------


@asynccontextmanager
async def demanding(tmp_path: Path, **more: object) -> AsyncIterator[tuple[TestRegistry, Trust]]:
    """A registry that talks to nobody without a certificate, and what gets one through."""
    authority = Authority(tmp_path)
    async with serve(tls=authority.server(clients=authority), **more) as registry:  # type: ignore[arg-type]  # any keywords
        registry.add_blob("app", SMALL)
        registry.add_blob("app", LARGE)
        yield registry, Trust((authority.file,), (authority.pair(),))


@pytest.mark.parametrize("blob", [SMALL, LARGE], ids=["small", "large"])
async def test_a_registry_that_demands_a_certificate_gets_it(tmp_path: Path, blob: bytes) -> None:
    async with demanding(tmp_path) as (registry, trust):
        async with asked(f"{registry.host}/app", STRAIGHT, trust=trust) as repository:
            assert await fetched(repository, described(blob)) == blob


@pytest.mark.parametrize(
    ("names", "expired", "told"), [(["elsewhere.test"], False, "names other hosts"), ([], True, "has to renew it")]
)
async def test_what_no_other_authority_would_mend_is_not_answered_with_one(
    tmp_path: Path, names: list[str], expired: bool, told: str
) -> None:
    authority = Authority(tmp_path)
    async with serve(tls=authority.server(*names, expired=expired)) as registry:
        async with asked(f"{registry.host}/app", STRAIGHT, trust=Trust((authority.file,))) as repository:
            with pytest.raises(TLSFailure) as caught:
                await fetched(repository, WANTED)
    assert told in caught.value.hint
    assert "--ca" not in caught.value.hint


async def refuse(tls: ssl.SSLContext, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A handshake whose alert arrives, which asyncio's own servers do not see to."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    handshake = tls.wrap_bio(incoming, outgoing, server_side=True)
    while True:
        try:
            handshake.do_handshake()
        except ssl.SSLWantReadError:
            writer.write(outgoing.read())
            incoming.write(await reader.read(65536))
        except ssl.SSLError:
            break
    writer.write(outgoing.read())
    writer.write_eof()
    while await reader.read(65536):
        pass
    writer.close()


@pytest.mark.parametrize("latest", ["TLSv1_2", "TLSv1_3"])
@pytest.mark.parametrize("stranger", [False, True], ids=["none", "of another authority"])
async def test_n28_a_registry_that_demands_another_certificate_says_so(
    tmp_path: Path, stranger: bool, latest: str
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    ours = (Authority(other, "a stranger").pair(),) if stranger else ()
    authority = Authority(tmp_path)
    tls = authority.server(clients=authority)
    tls.maximum_version = ssl.TLSVersion[latest]
    server = await asyncio.start_server(lambda reader, writer: refuse(tls, reader, writer), "127.0.0.1", 0)
    async with server:
        host = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with asked(f"{host}/app", STRAIGHT, trust=Trust((authority.file,), ours)) as repository:
            with pytest.raises(TLSFailure) as caught:
                await fetched(repository, WANTED)
    assert "client certificate" in caught.value.hint


async def test_a_line_that_is_cut_instead_is_told_to_be_perhaps_for_want_of_a_certificate(tmp_path: Path) -> None:
    async with demanding(tmp_path) as (registry, trust):
        async with asked(f"{registry.host}/app", STRAIGHT, trust=Trust(trust.authorities)) as repository:
            with pytest.raises(ConnectionLost) as caught:
                await fetched(repository, WANTED)
        assert len(registry.journal) == 0
    assert "client certificate" in caught.value.hint


@asynccontextmanager
async def curious(tmp_path: Path, answer: Answer) -> AsyncIterator[tuple[Canary, list[object]]]:
    """Another origin, that would take any certificate: what it was shown, one for each request."""
    authority = Authority(tmp_path)
    tls = authority.server()
    tls.verify_mode = ssl.CERT_OPTIONAL
    tls.load_verify_locations(cafile=authority.file)
    shown: list[object] = []
    async with serve_canary(answer, tls=tls) as canary:
        canary.service.on_request.append(lambda request: shown.append(request.certificate))
        yield canary, shown


async def test_b6_where_the_registry_sends_us_no_certificate_is_shown(tmp_path: Path) -> None:
    async with demanding(tmp_path) as (registry, trust):
        async with curious(tmp_path, Answer(200, (), BytesBody(SMALL))) as (canary, shown):
            registry.faults.append(faults.redirect(str(WANTED.digest), f"{canary.url}/x"))
            async with asked(f"{registry.host}/app", STRAIGHT, trust=trust) as repository:
                assert await fetched(repository, WANTED) == SMALL
        assert shown == [None]
        assert [bool(request.certificate) for request in registry.journal] == [True]


async def test_b6_a_token_server_elsewhere_is_shown_no_certificate(tmp_path: Path) -> None:
    auth = Bearer({"alice": "marker-registry-password"})
    answer = Answer(200, (("Content-Type", "application/json"),), BytesBody(b'{"token": "x"}'))
    async with demanding(tmp_path, auth=auth) as (registry, trust):
        async with curious(tmp_path, answer) as (canary, shown):
            auth.realm = canary.url.replace("127.0.0.1", "localhost") + "/token"
            async with asked(f"{registry.host}/app", STRAIGHT, trust=trust, login=LOGIN) as repository:
                with pytest.raises(Exception):  # noqa: B017, PT011  # whatever is said of the token
                    await fetched(repository, WANTED)
        assert set(shown) <= {None}


async def test_the_registrys_own_token_server_is_shown_the_certificate(tmp_path: Path) -> None:
    auth = Bearer({"alice": "marker-registry-password"}, separate=True)
    async with demanding(tmp_path, auth=auth) as (registry, trust):
        async with asked(f"{registry.host}/app", STRAIGHT, trust=trust, login=LOGIN) as repository:
            assert await fetched(repository, WANTED) == SMALL


# Versions -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("latest", "is_spoken"), [("TLSv1_1", False), ("TLSv1_2", True), ("TLSv1_3", True)])
async def test_tls_1_2_is_the_least_that_is_spoken(tmp_path: Path, latest: str, is_spoken: bool) -> None:
    authority = Authority(tmp_path)
    tls = authority.server()
    tls.set_ciphers("ALL:@SECLEVEL=0")  # else OpenSSL would not offer 1.1 either
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        tls.minimum_version = ssl.TLSVersion.TLSv1
        tls.maximum_version = ssl.TLSVersion[latest]
    async with serve(tls=tls) as registry:
        registry.add_blob("app", SMALL)
        async with asked(f"{registry.host}/app", STRAIGHT, trust=Trust((authority.file,))) as repository:
            if is_spoken:
                assert await fetched(repository, WANTED) == SMALL
            else:
                with pytest.raises(TLSFailure):
                    await fetched(repository, WANTED)


async def test_the_server_of_tls_1_1_can_be_spoken_to_by_those_who_would(tmp_path: Path) -> None:
    """Else the test before this one would prove nothing."""
    authority = Authority(tmp_path)
    tls, client = authority.server(), authority.client()
    for context in (tls, client):
        context.set_ciphers("ALL:@SECLEVEL=0")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version = ssl.TLSVersion.TLSv1
            context.maximum_version = ssl.TLSVersion.TLSv1_1
    async with serve(tls=tls) as registry:
        host, port = registry.host.split(":")
        _, writer = await asyncio.open_connection(host, int(port), ssl=client)
        assert writer.get_extra_info("ssl_object").version() == "TLSv1.1"
        writer.transport.abort()
