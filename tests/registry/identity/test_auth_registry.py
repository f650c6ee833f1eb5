"""Authentication against a real registry on loopback: every way in, and tokens that end."""

from urllib.parse import parse_qs

import anyio
import pytest

from puller.contracts.access import Credential
from puller.errors import ProtocolViolation, Unauthorized
from testregistry import Basic, Bearer, faults, serve
from tests.registry.locked import IMAGE, LAYER, USER, USERS, client, fetch, resolve, sent
from tests.registry.scene import Time


async def test_nobody_pulls_with_one_anonymous_token() -> None:
    async with serve(auth=Bearer()) as registry, client(registry.host, named=False) as opened:
        registry.add("app:1", IMAGE)
        assert str((await resolve(opened, registry.name("app:1"))).digest) == IMAGE.digest
        assert await fetch(opened, registry.name("app:1")) == LAYER.raw
        (request,) = registry.journal.find(kind="token")
        assert "Authorization" not in request.headers
        assert parse_qs(request.query) == {"service": ["testregistry"], "scope": ["repository:app:pull"]}
        assert registry.journal.count(status=401) == 1


async def test_fifty_layers_at_once_need_one_token() -> None:
    async with serve(auth=Bearer()) as registry, client(registry.host) as opened:
        registry.add("app:1", IMAGE)
        async with anyio.create_task_group() as tasks:
            for _ in range(50):
                tasks.start_soon(fetch, opened, registry.name("app:1"))
        assert registry.journal.count(kind="token") == 1
        assert registry.journal.count(kind="blob", status=200) == 50


@pytest.mark.parametrize("field", ["token", "access_token", "both"])
async def test_n12_a_token_is_found_in_either_field(field: str) -> None:
    async with serve(auth=Bearer(field=field)) as registry, client(registry.host) as opened:
        registry.add("app:1", IMAGE)
        await resolve(opened, registry.name("app:1"))


async def test_a_user_pulls_with_basic() -> None:
    async with serve(auth=Basic(USERS)) as registry, client(registry.host, USER) as opened:
        registry.add("app:1", IMAGE)
        await resolve(opened, registry.name("app:1"))
        await fetch(opened, registry.name("app:1"))
        assert sent(registry) == [None, USER.basic, USER.basic]


@pytest.mark.parametrize("separate", [False, True], ids=["same port", "own port"])
async def test_a_user_pulls_with_a_token(separate: bool) -> None:
    auth = Bearer(USERS, anonymous=frozenset(), separate=separate)
    async with serve(auth=auth) as registry, client(registry.host, USER) as opened:
        registry.add("app:1", IMAGE)
        await resolve(opened, registry.name("app:1"))
        (request,) = registry.journal.find(kind="token")
        assert request.headers["Authorization"] == USER.basic
        assert [token.user for token in auth.issued] == ["user"]


async def test_a_holder_of_an_identity_token_pulls() -> None:
    auth = Bearer(anonymous=frozenset(), identity_tokens={"marker-secret": "user"})
    holder = Credential("", "", "marker-secret")
    async with serve(auth=auth) as registry, client(registry.host, holder) as opened:
        registry.add("app:1", IMAGE)
        await resolve(opened, registry.name("app:1"))
        (request,) = registry.journal.find(kind="token")
        assert (request.method, request.query, request.form["grant_type"]) == ("POST", "", "refresh_token")


@pytest.mark.parametrize("auth", [Basic(USERS), Bearer(USERS, anonymous=frozenset())], ids=["basic", "bearer"])
async def test_b1_credentials_are_not_sent_over_plain_http_that_nobody_named(auth: Basic | Bearer) -> None:
    async with serve(auth=auth) as registry, client(registry.host, USER, named=False) as opened:
        registry.add("app:1", IMAGE)
        with pytest.raises(Unauthorized, match=f"--plain-http {registry.host}"):
            await resolve(opened, registry.name("app:1"))
        assert sent(registry) == [None]
        assert registry.journal.count(kind="token") == 0


async def test_a_400_is_about_the_request_where_no_token_was_sent() -> None:
    async with serve(auth=Basic(USERS), faults=[faults.status(400, kind="blob", times=None)]) as registry:
        async with client(registry.host, USER) as opened:
            registry.add("app:1", IMAGE)
            await resolve(opened, registry.name("app:1"))
            with pytest.raises(ProtocolViolation):
                await fetch(opened, registry.name("app:1"))
        assert registry.journal.count(kind="blob") == 1


@pytest.mark.parametrize("status", [401, 400])
async def test_n10_a_token_that_ended_is_replaced_once(status: int) -> None:
    async with serve(auth=Bearer(bad_token_status=status)) as registry, client(registry.host) as opened:
        registry.add("app:1", IMAGE)
        await resolve(opened, registry.name("app:1"))
        registry.auth.expire_all()
        assert await fetch(opened, registry.name("app:1")) == LAYER.raw
        assert registry.journal.count(kind="token") == 2
        assert registry.journal.count(kind="blob") == 2


@pytest.mark.parametrize("status", [401, 400])
async def test_n10_a_token_that_ends_in_the_middle_of_a_layer_is_replaced_once(status: int) -> None:
    cut = [faults.cut(LAYER.digest, after=50_000), faults.expire_token(LAYER.digest, ranged=True)]
    async with serve(auth=Bearer(bad_token_status=status), faults=cut) as registry, client(registry.host) as opened:
        registry.add("app:1", IMAGE)
        await resolve(opened, registry.name("app:1"))
        assert await fetch(opened, registry.name("app:1")) == LAYER.raw
        assert registry.journal.count(kind="token") == 2
        ranges = [request.range for request in registry.journal.find(kind="blob", status=206)]
        assert ranges == ["bytes=50000-"]


async def test_a_token_is_replaced_before_the_registry_has_to_refuse_it() -> None:
    time = Time()
    async with serve(auth=Bearer(clock=time.clock)) as registry, client(registry.host, time=time) as opened:
        registry.add("app:1", IMAGE)
        await resolve(opened, registry.name("app:1"))
        time.now += 290
        await resolve(opened, registry.name("app:1"))
        assert registry.journal.count(kind="token") == 2
        assert registry.journal.count(status=401) == 1


@pytest.mark.parametrize("expires_in", [1, -1, None, 10**18])
async def test_b13_an_absurd_lifetime_costs_at_most_one_refresh(expires_in: int | None) -> None:
    time = Time()
    async with serve(auth=Bearer(expires_in=expires_in, clock=time.clock)) as registry:
        async with client(registry.host, time=time) as opened:
            registry.add("app:1", IMAGE)
            if expires_in == -1:
                with pytest.raises(Unauthorized):
                    await resolve(opened, registry.name("app:1"))
            else:
                await resolve(opened, registry.name("app:1"))
                time.now += 30
                await resolve(opened, registry.name("app:1"))
        assert registry.journal.count(kind="token") <= 2
