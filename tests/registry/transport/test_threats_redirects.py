"""Threats B5 to B8: what another origin sees, and where nobody may send us."""

from pathlib import Path

import pytest

from puller.errors import RegistryError, Unauthorized, UnsafeRedirect
from testregistry import Basic, Request, faults, serve
from testregistry.answer import Answer
from testregistry.body import BytesBody
from testregistry.canary import serve_canary
from testregistry.certificates import Authority
from tests.registry.elsewhere import BLOB, HERE, LOGIN, ONCE, WANTED, pretend, sent_on, told
from tests.registry.scene import (
    Names,
    fetched,
    opened,
)

# B5 to B8: redirects --------------------------------------------------------------------------------------------------


async def test_b5_authorization_is_dropped_on_redirect_to_another_port() -> None:
    async with serve_canary(Answer(200, (), BytesBody(BLOB))) as canary, sent_on(f"{canary.url}/x") as registry:
        async with opened(registry.name("app"), login=LOGIN, plain_http=[registry.host]) as repository:
            assert await fetched(repository, WANTED) == BLOB
        assert "authorization" not in canary.header_names()


async def test_b5_authorization_is_dropped_on_redirect_to_another_name_of_the_same_server() -> None:
    async with serve() as cdn:
        cdn.add_blob("app", BLOB)
        port = cdn.host.partition(":")[2]
        target = f"http://cdn.test:{port}/v2/app/blobs/{WANTED.digest}"
        async with sent_on(target) as registry:
            async with opened(
                registry.name("app"), names=Names(HERE), login=LOGIN, plain_http=[registry.host]
            ) as repository:
                assert await fetched(repository, WANTED) == BLOB
        assert "Authorization" not in cdn.journal.requests[0].headers


async def test_b5_authorization_stays_on_redirect_within_the_origin() -> None:
    async with serve(auth=Basic({"alice": "marker-password"})) as registry:
        registry.add_blob("app", BLOB)
        there = f"/v2/app/blobs/{WANTED.digest}?there=1"
        registry.faults.append(faults.redirect(None, there, kind="blob"))
        async with opened(registry.name("app"), login=LOGIN, plain_http=[registry.host]) as repository:
            assert await fetched(repository, WANTED) == BLOB
        assert "Authorization" in registry.journal.requests[-1].headers


async def test_b5_authorization_does_not_come_back_after_a_detour() -> None:
    async with serve(auth=Basic({"alice": "marker-password"})) as registry:
        registry.add_blob("app", BLOB)
        back = f"{registry.url}/v2/secret/blobs/{WANTED.digest}"
        async with serve_canary(Answer(307, (("Location", back),))) as evil:
            registry.faults.append(faults.redirect(None, f"{evil.url}/detour", repository="app", times=None))
            async with opened(registry.name("app"), login=LOGIN, plain_http=[registry.host]) as repository:
                with pytest.raises(Unauthorized):
                    await fetched(repository, WANTED)
        detoured = [request for request in registry.journal if "/secret/" in request.path]
        assert detoured
        assert all("Authorization" not in request.headers for request in detoured)


@pytest.mark.parametrize("location", ["http://a..b/x", f"http://{'a' * 64}/x", "http://.a/", "http://[::::::]/"])
async def test_n14_a_redirect_to_no_host_is_refused_by_name(location: str) -> None:
    async with sent_on(location) as registry:
        async with opened(registry.name("app"), login=LOGIN, plain_http=[registry.host]) as repository:
            with pytest.raises(UnsafeRedirect):
                await fetched(repository, WANTED)


@pytest.mark.parametrize(
    "host", ["sub.registry.test", "test", "registry.test.evil.test", "registry.test", "REGISTRY.test"]
)
async def test_b5_no_name_that_only_looks_like_the_registrys_gets_authorization(host: str) -> None:
    async with serve_canary(Answer(200, (), BytesBody(BLOB))) as canary:
        async with sent_on(f"http://{host}:{canary.host.partition(':')[2]}/x") as registry:
            name = told(registry)
            names = Names(HERE | {host.lower(): "127.0.0.1", host: "127.0.0.1"})
            async with opened(f"{name}/app", names=names, login=LOGIN, plain_http=[name]) as repository:
                assert await fetched(repository, WANTED) == BLOB
        assert "authorization" not in canary.header_names()
        assert not canary.saw("marker")


async def test_b5_ten_hops_through_good_and_evil_show_authorization_to_the_good_before_the_first_evil_only() -> None:
    async with serve(auth=Basic({"alice": "marker-password"})) as registry, serve_canary() as evil:
        registry.add_blob("app", BLOB)

        def onward(request: Request) -> str:
            hop = int(request.query.partition("=")[2] or 0) + 1
            host = registry.url if hop in (1, 2) or hop % 2 == 0 else evil.url
            return f"{host}/v2/app/blobs/{WANTED.digest}?hop={hop}"

        evil.answer = lambda request: Answer(307, (("Location", onward(request)),))
        registry.faults.append(faults.redirect(None, onward, kind="blob", before_auth=True, times=None))
        async with opened(registry.name("app"), login=LOGIN, plain_http=[registry.host]) as repository:
            with pytest.raises(UnsafeRedirect, match="too many"):
                await fetched(repository, WANTED)
        assert [request.query for request in evil.requests] == ["hop=3", "hop=5", "hop=7", "hop=9"]
        assert "authorization" not in evil.header_names()
        assert [request.query for request in registry.journal] == [
            "",
            "hop=1",
            "hop=2",
            "hop=4",
            "hop=6",
            "hop=8",
            "hop=10",
        ]
        assert all("Authorization" not in request.headers for request in registry.journal.requests[3:])


async def test_b5_a_loop_through_another_origin_ends_and_shows_it_nothing() -> None:
    async with serve(auth=Basic({"alice": "marker-password"})) as registry:
        home = f"{registry.url}/v2/app/blobs/{WANTED.digest}"
        async with serve_canary(Answer(307, (("Location", home),))) as evil:
            registry.faults.append(faults.redirect(None, f"{evil.url}/x", times=None, before_auth=True))
            async with opened(registry.name("app"), login=LOGIN, plain_http=[registry.host]) as repository:
                with pytest.raises(UnsafeRedirect, match="circle"):
                    await fetched(repository, WANTED)
            assert len(evil.requests) == 1
            assert "authorization" not in evil.header_names()


async def test_b5_https_does_not_lead_to_http(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    async with serve_canary() as canary, serve(tls=authority.server()) as registry:
        registry.faults.append(faults.redirect(None, f"{canary.url}/x", times=None))
        async with opened(registry.name("app"), ca_file=authority.file) as repository:
            with pytest.raises(UnsafeRedirect, match="https to http"):
                await fetched(repository, WANTED)
        assert canary.requests == []


async def test_b6_another_origin_sees_an_exact_list_of_headers() -> None:
    part = Answer(206, (("Content-Range", "bytes 100-49999/50000"), ("Set-Cookie", "a=b")), BytesBody(BLOB[100:]))
    async with serve_canary(part) as canary, sent_on(f"{canary.url}/x") as registry:
        async with opened(registry.name("app"), login=LOGIN, plain_http=[registry.host]) as repository:
            for _ in range(2):
                assert await fetched(repository, WANTED, 100) == BLOB[100:]
        assert canary.header_names() == {"host", "user-agent", "accept", "accept-encoding", "range"}
        assert len(canary.requests) == 2


@pytest.mark.parametrize("user", ["user:pw@", "user@", "user%3Apw%40", ":@", "@"])
async def test_b7_a_location_with_a_user_is_refused(user: str) -> None:
    async with serve_canary() as canary, sent_on(f"http://{user}{canary.host}/x") as registry:
        async with opened(registry.name("app"), login=LOGIN, plain_http=[registry.host]) as repository:
            with pytest.raises(UnsafeRedirect):
                await fetched(repository, WANTED)
        assert canary.requests == []


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.2", "127.2", "2130706434", "0x7f000002", "0x7f.0.0.2", "0177.0.0.2", "[::ffff:127.0.0.2]",
        "inside.test", "localhost", "169.254.169.254", "0.0.0.0", "[::1]", "[::]", "10.255.255.1",
        "[fe80::1]", "[fd00::1]",
    ],
)  # fmt: skip
async def test_b8_a_public_registry_may_not_send_us_inside(host: str) -> None:
    async with serve_canary(host="127.0.0.2") as canary:
        async with sent_on(f"http://{host}:{canary.host.partition(':')[2]}/latest/meta-data") as registry:
            name = told(registry)
            names = Names(HERE | {"localhost": "127.0.0.2"})
            async with opened(
                f"{name}/app", names=names, plain_http=[name], classify=pretend, login=LOGIN, retries=ONCE
            ) as repository:
                with pytest.raises(RegistryError) as caught:
                    await fetched(repository, WANTED)
        assert canary.requests == []
        # Some spellings no resolver takes; every one that is an address is refused as such.
        assert isinstance(caught.value, UnsafeRedirect) or not host.replace(".", "").isdigit()


async def test_b8_a_name_that_is_public_first_and_inside_later_is_refused_when_connecting() -> None:
    async with serve_canary(host="127.0.0.2") as canary:
        async with sent_on(f"http://cdn.test:{canary.host.partition(':')[2]}/x") as registry:
            name = told(registry)
            names = Names({"registry.test": "127.0.0.1", "cdn.test": ["127.0.0.2"]})
            async with opened(
                f"{name}/app", names=names, plain_http=[name], classify=pretend, login=LOGIN
            ) as repository:
                with pytest.raises(UnsafeRedirect, match="out of bounds"):
                    await fetched(repository, WANTED)
        assert canary.requests == []


async def test_b8_a_name_that_was_public_and_is_inside_at_the_next_request_is_refused_then() -> None:
    async with serve_canary(Answer(200, (), BytesBody(BLOB))) as outside:
        port = int(outside.host.partition(":")[2])
        async with (
            serve_canary(host="127.0.0.2", port=port) as inside,
            sent_on(f"http://cdn.test:{port}/x") as registry,
        ):
            name = told(registry)
            names = Names({"registry.test": "127.0.0.1", "cdn.test": ["127.0.0.1", "127.0.0.2"]})
            outcomes = []
            for _ in range(2):  # a client each: one of its own remembers names and keeps connections for a while
                async with opened(
                    f"{name}/app", names=names, plain_http=[name], classify=pretend, login=LOGIN
                ) as repository:
                    try:
                        outcomes.append(str(len(await fetched(repository, WANTED))))
                    except UnsafeRedirect as error:
                        outcomes.append(error.what)
            assert outcomes == [str(len(BLOB)), "sent to an address out of bounds"]
            assert inside.requests == []


async def test_b8_an_answer_of_public_and_inner_addresses_leads_to_the_public_one_only() -> None:
    async with serve_canary(Answer(200, (), BytesBody(BLOB))) as outside:
        port = int(outside.host.partition(":")[2])
        async with (
            serve_canary(host="127.0.0.2", port=port) as inside,
            sent_on(f"http://cdn.test:{port}/x") as registry,
        ):
            name = told(registry)
            names = Names({"registry.test": "127.0.0.1", "cdn.test": ("127.0.0.2", "127.0.0.1", "169.254.169.254")})
            async with opened(
                f"{name}/app", names=names, plain_http=[name], classify=pretend, login=LOGIN
            ) as repository:
                assert await fetched(repository, WANTED) == BLOB
            assert inside.requests == []


async def test_b8_a_registry_inside_may_send_us_to_its_neighbours() -> None:
    async with serve_canary(Answer(200, (), BytesBody(BLOB)), host="127.0.0.2") as neighbour:
        async with sent_on(f"http://{neighbour.host}/x") as registry:
            async with opened(registry.name("app"), login=LOGIN, plain_http=[registry.host]) as repository:
                assert await fetched(repository, WANTED) == BLOB
