"""Foreign layers: fetched from elsewhere only when that is wanted, and by nobody in particular (THREATS B2)."""

import ssl
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from puller.contracts.access import Endpoint, Protection, Trust
from puller.contracts.content import Alternatives
from puller.errors import DigestMismatch, NotFound, SizeMismatch, Unauthorized, Unavailable
from puller.model.descriptor import Descriptor
from puller.model.event import Event, PassedOver
from puller.model.mediatype import DOCKER_FOREIGN_LAYER, DOCKER_LAYER, OCI_FOREIGN_LAYER_GZIP
from puller.model.reference import Reference
from puller.ops.pulling.transfer import copy_blob
from puller.store.memory import MemoryStore
from testregistry import Bearer, faults, serve
from testregistry.answer import Answer, Delivery
from testregistry.canary import serve_canary
from testregistry.certificates import Authority
from tests.registry.elsewhere import LOGIN
from tests.registry.scene import described, fetched_from
from tests.registry.strange import (
    ALLOWED,
    BLOB,
    PLAIN_HEADERS,
    foreign,
    giving,
    lacking,
    opened,
    refused,
)

# Without the option ---------------------------------------------------------------------------------------------------


async def test_b2_no_url_is_asked_unless_that_is_wanted_and_the_error_says_what_to_do() -> None:
    async with lacking() as registry, serve_canary(giving()) as canary:
        url = f"{canary.url}/layer?sig=marker-signature"
        async with opened(f"{registry.host}/app", allowed=False, login=LOGIN, plain_http=[registry.host]) as source:
            error = await refused(source, foreign(url, "https://second.example/layer"))
        assert isinstance(error, NotFound)
        assert "foreign layer" in error.what
        assert f"{canary.host}, second.example" in error.hint
        assert "--foreign-layers" in error.hint
        assert "marker" not in f"{error}{error.facts()}"
        assert error.host == registry.host
        assert canary.requests == []


@pytest.mark.parametrize("allowed", [False, True])
async def test_a_foreign_layer_without_urls_is_called_what_it_is(allowed: bool) -> None:
    async with serve() as registry, opened(f"{registry.host}/app", allowed=allowed) as source:
        error = await refused(source, foreign())
        assert isinstance(error, NotFound)
        assert "foreign layer" in error.what
        assert "--foreign-layers" not in error.hint


async def test_what_the_registry_has_is_fetched_from_there_whatever_its_urls() -> None:
    async with serve() as registry, serve_canary(giving()) as canary:
        registry.add_blob("app", BLOB)
        async with opened(f"{registry.host}/app") as source:
            raw, origin = await fetched_from(source, foreign(canary.url))
        assert (raw, origin.host, canary.requests) == (BLOB, registry.host, [])


@pytest.mark.parametrize("media_type", [DOCKER_LAYER, "application/vnd.example"])
async def test_b2_urls_of_what_is_no_foreign_layer_are_not_asked(media_type: str) -> None:
    async with serve() as registry, serve_canary(giving()) as canary:
        async with opened(f"{registry.host}/app") as source:
            error = await refused(source, foreign(canary.url, media_type=media_type))
        assert isinstance(error, NotFound)
        assert "foreign" not in str(error)
        assert canary.requests == []


async def test_a_registry_that_refuses_us_is_not_gone_around() -> None:
    async with lacking() as registry, serve_canary(giving()) as canary:
        async with opened(f"{registry.host}/app") as source:
            assert isinstance(await refused(source, foreign(canary.url)), Unauthorized)
        assert canary.requests == []


# With it --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("media_type", [DOCKER_FOREIGN_LAYER, OCI_FOREIGN_LAYER_GZIP])
async def test_the_url_is_asked_after_the_registry_and_the_host_is_told(media_type: str) -> None:
    events: list[Event] = []
    async with serve() as registry, serve_canary(giving()) as canary:
        async with opened(f"{registry.host}/app", events=events) as source:
            raw, origin = await fetched_from(source, foreign(f"{canary.url}/a%2Fb?sig=x%20y", media_type=media_type))
        assert raw == BLOB
        assert registry.journal.count(kind="blob") == 1
        (request,) = canary.requests
        assert (request.path, request.query) == ("/a%2Fb", "sig=x%20y")
        assert origin.host == canary.host
        assert [one.host for one in origin.passed] == [registry.host]
        (passed,) = [event for event in events if isinstance(event, PassedOver)]
        assert (passed.host, passed.next_host) == (registry.host, canary.host)


@pytest.mark.parametrize(
    "challenge", ['Basic realm="registry"', 'Bearer realm="{url}/token",service="s",scope="repository:app:pull"']
)
@pytest.mark.parametrize("status", [401, 403])
async def test_b2_a_challenge_is_final_and_gets_neither_credentials_nor_a_token_request(
    challenge: str, status: int
) -> None:
    async with lacking() as registry, serve_canary() as canary:
        headers = (("WWW-Authenticate", challenge.format(url=canary.url)), ("Set-Cookie", "marker-cookie=1"))
        canary.answer = Answer(status, headers)
        async with opened(f"{registry.host}/app", login=LOGIN, plain_http=[registry.host], attempts=3) as source:
            error = await refused(source, foreign(f"{canary.url}/layer"))
            await refused(source, foreign(f"{canary.url}/layer"))
        assert isinstance(error, Unauthorized)
        assert error.host == canary.host
        assert [request.path for request in canary.requests] == ["/layer"] * 2
        assert canary.header_names() == ALLOWED
        assert "log in" not in f"{error}"
        assert any(request.headers.get("Authorization") for request in registry.journal)


async def test_b2_a_token_of_the_registry_is_not_sent_elsewhere() -> None:
    async with serve(auth=Bearer({"alice": "marker-password"})) as registry, serve_canary(giving()) as canary:
        registry.add_blob("app", b"something else")
        async with opened(f"{registry.host}/app", login=LOGIN, plain_http=[registry.host]) as source:
            raw, _ = await fetched_from(source, foreign(f"{canary.url}/layer"))
        assert raw == BLOB
        assert canary.header_names() == ALLOWED
        assert not canary.saw("marker-password")


async def test_b2_a_url_at_the_registry_itself_is_asked_by_a_stranger() -> None:
    async with lacking() as registry:
        async with opened(f"{registry.host}/app", login=LOGIN, plain_http=[registry.host]) as source:
            url = f"{registry.url}/v2/app/blobs/{described(b'something else').digest}"
            assert isinstance(await refused(source, foreign(url)), Unauthorized)
        assert registry.journal.requests[-1].headers.get("Authorization") is None


async def test_b6_headers_and_certificates_of_the_registry_are_for_it_alone(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    trust = Trust((authority.file,), (authority.pair(),))

    class Set:
        def endpoints(self, reference: Reference) -> tuple[Endpoint, ...]:
            return (self.home(reference),)

        def home(self, reference: Reference) -> Endpoint:
            own = (("X-Api-Key", "marker-key"),)
            return Endpoint(reference.registry, reference.repository, Protection.TLS, trust, headers=own)

    asking = authority.server()
    asking.verify_mode = ssl.CERT_OPTIONAL  # whoever has a certificate shows it
    asking.load_verify_locations(cafile=authority.file)
    async with (
        serve(tls=authority.server(clients=authority)) as registry,
        serve_canary(giving(), tls=asking) as canary,
        opened(f"{registry.host}/app", routes=Set()) as source,
    ):
        raw, _ = await fetched_from(source, foreign(f"{canary.url}/layer"))
        assert raw == BLOB
        assert canary.header_names() == ALLOWED
        assert [request.certificate for request in canary.requests] == [None]
        assert all(request.certificate for request in registry.journal)
        assert registry.journal.requests[-1].headers["X-Api-Key"] == "marker-key"


# Several URLs, and bodies that are not what they should be ------------------------------------------------------------


async def test_urls_are_tried_in_their_order_until_one_gives_it() -> None:
    async with (
        serve() as registry,
        serve_canary(Answer(404)) as first,
        serve_canary(giving()) as second,
        serve_canary(giving()) as third,
        opened(f"{registry.host}/app") as source,
    ):
        raw, origin = await fetched_from(source, foreign(*(f"{c.url}/layer" for c in (first, second, third))))
        assert (raw, origin.host) == (BLOB, second.host)
        assert [one.host for one in origin.passed] == [registry.host, first.host]
        assert third.requests == []


async def test_all_in_vain_raises_the_last_error_and_notes_the_others() -> None:
    async with serve() as registry, serve_canary(Answer(503)) as first, serve_canary(Answer(404)) as second:
        async with opened(f"{registry.host}/app") as source:
            error = await refused(source, foreign(f"{first.url}/x?sig=marker", f"{second.url}/x?sig=marker"))
        assert isinstance(error, NotFound)
        assert error.host == second.host
        notes = getattr(error, "__notes__", [])
        assert [note.partition(": ")[0] for note in notes] == [registry.host, first.host]
        assert "marker" not in f"{error}{notes}"


async def test_no_more_than_a_few_urls_are_asked() -> None:
    async with serve() as registry, serve_canary(Answer(404)) as canary:
        async with opened(f"{registry.host}/app") as source:
            await refused(source, foreign(*(f"{canary.url}/{number}" for number in range(1000))))
        assert len(canary.requests) == 8


async def test_n4_a_cut_line_is_gone_on_with_at_the_same_host() -> None:
    async with serve() as registry, serve(faults=[faults.cut(str(described(BLOB).digest), after=20_000)]) as other:
        other.add_blob("app", BLOB)
        url = f"{other.url}/v2/app/blobs/{described(BLOB).digest}"
        async with opened(f"{registry.host}/app", attempts=3) as source:
            raw, origin = await fetched_from(source, foreign(url))
        assert (raw, origin.resumed_at) == (BLOB, (20_000,))
        assert other.journal.ranges(str(described(BLOB).digest)) == [None, "bytes=20000-"]
        assert registry.journal.count(kind="blob") == 1


async def test_a_part_is_gone_on_with_from_where_it_ends() -> None:
    async with serve() as registry, serve() as other:
        other.add_blob("app", BLOB)
        url = f"{other.url}/v2/app/blobs/{described(BLOB).digest}"
        async with opened(f"{registry.host}/app") as source:
            assert (await fetched_from(source, foreign(url), offset=30_000))[0] == BLOB[30_000:]
        assert {name.lower() for request in other.journal for name in request.headers} == PLAIN_HEADERS


@pytest.mark.parametrize("size", [len(BLOB) - 1, len(BLOB) + 1, 1 << 40])
async def test_n19_a_body_of_another_size_is_refused_before_its_first_byte(size: int) -> None:
    answer = replace(giving((BLOB + b"x")[:size]), delivery=Delivery(declared_length=size))
    async with serve() as registry, serve_canary(answer) as canary:
        async with opened(f"{registry.host}/app") as source:
            with pytest.raises(SizeMismatch):
                async with source.fetch(foreign(f"{canary.url}/layer")):
                    pytest.fail("the body was opened")


async def pulled(source: Any, wanted: Descriptor) -> bytes:
    store = MemoryStore()
    await copy_blob(source, store, wanted, report=lambda event: None)
    return await store.read(wanted, limit=1 << 20)


async def test_wrong_bytes_are_fetched_anew_from_the_next_url() -> None:
    wrong = bytes(len(BLOB))
    async with serve() as registry, serve_canary(giving(wrong)) as bad, serve_canary(giving()) as good:
        async with opened(f"{registry.host}/app") as source:
            assert isinstance(source, Alternatives)
            assert await pulled(source, foreign(f"{bad.url}/layer", f"{good.url}/layer")) == BLOB
        assert len(bad.requests) == 1


async def test_n3_wrong_bytes_from_the_only_url_are_final() -> None:
    async with serve() as registry, serve_canary(giving(bytes(len(BLOB)))) as bad:
        async with opened(f"{registry.host}/app") as source:
            with pytest.raises(DigestMismatch) as caught:
                await pulled(source, foreign(f"{bad.url}/layer"))
        assert caught.value.host == bad.host
        assert len(bad.requests) == 1


async def test_a_dead_host_is_an_error_that_names_it() -> None:
    async with serve() as registry:
        async with opened(f"{registry.host}/app") as source:
            error = await refused(source, foreign("http://127.0.0.1:1/layer"))
        assert isinstance(error, Unavailable)
        assert error.host == "127.0.0.1:1"
