"""Authentication: Basic, Bearer with the registry's own token endpoint, scopes, expiry (docker token specification)."""

from __future__ import annotations

from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from testregistry import Basic, Bearer, TestRegistry, images, serve
from tests.testregistry.asking import Got, ask, basic, get

IMAGE = images.image(images.layer({"a": b"b"}))
USER = ("ann", "s3cret")
USERS = {"ann": "s3cret"}


class Clock:
    """A clock that stands until it is told otherwise."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


async def token(
    bearer: Bearer, scope: str = "repository:app:pull", *, user: tuple[str, str] | None = None, more: str = ""
) -> Got:
    query = urlencode({"service": bearer.service, "scope": scope})
    return await ask("GET", f"{bearer.endpoint}?{query}{more}", auth=user)


async def pull(registry: TestRegistry, value: str, name: str = "app") -> Got:
    return await get(f"{registry.url}/v2/{name}/manifests/1", Authorization=f"Bearer {value}")


async def test_without_auth_anybody_may_do_anything() -> None:
    async with serve() as registry:
        registry.add("app:1", IMAGE)
        assert (await get(f"{registry.url}/v2/app/manifests/1")).status == 200


async def test_basic_lets_in_who_knows_the_password() -> None:
    async with serve(auth=Basic(USERS)) as registry:
        registry.add("app:1", IMAGE)
        assert (await ask("GET", f"{registry.url}/v2/app/manifests/1", auth=USER)).status == 200


@pytest.mark.parametrize("header", [None, "Basic YW5uOndyb25n", "Basic !!", "Basic /w==", "Bearer x", "Basic"])
async def test_basic_refuses_all_else_with_a_challenge(header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header}
    async with serve(auth=Basic(USERS)) as registry:
        got = await ask("GET", f"{registry.url}/v2/", headers=headers)
    assert (got.status, got.codes()) == (401, ["UNAUTHORIZED"])
    assert got.headers["WWW-Authenticate"] == 'Basic realm="testregistry"'


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("GET", "", None),
        ("GET", "app/manifests/1", "repository:app:pull"),
        ("HEAD", "team/app/blobs/sha256:00", "repository:team/app:pull"),
        ("GET", "app/tags/list", "repository:app:pull"),
        ("PUT", "app/manifests/1", "repository:app:pull,push"),
        ("POST", "app/blobs/uploads/", "repository:app:pull,push"),
        ("POST", "app/blobs/uploads/?mount=x&from=b", "repository:app:pull,push repository:b:pull"),
        ("DELETE", "app/manifests/1", "repository:app:delete"),
        ("GET", "_catalog", "registry:catalog:*"),
    ],
)
async def test_the_challenge_names_realm_service_and_the_scope_needed(
    method: str, path: str, scope: str | None
) -> None:
    bearer = Bearer()
    async with serve(auth=bearer) as registry:
        got = await ask(method, f"{registry.url}/v2/{path}")
    wanted = f'Bearer realm="{bearer.endpoint}",service="testregistry"'
    assert got.status == 401
    assert got.headers["WWW-Authenticate"] == (wanted if scope is None else f'{wanted},scope="{scope}"')


async def test_an_anonymous_token_pulls_and_does_not_push() -> None:
    async with serve(auth=Bearer()) as registry:
        registry.add("app:1", IMAGE)
        assert isinstance(registry.auth, Bearer)
        document = (await token(registry.auth, "repository:app:pull,push")).json()
        assert (document["scope"], document["expires_in"]) == ("repository:app:pull", 300)
        assert (await pull(registry, document["token"])).status == 200
        got = await ask(
            "POST",
            f"{registry.url}/v2/app/blobs/uploads/",
            headers={"Authorization": f"Bearer {document['token']}"},
        )
    assert got.status == 401
    assert 'error="insufficient_scope"' in got.headers["WWW-Authenticate"]


async def test_a_token_is_bound_to_its_repository() -> None:
    bearer = Bearer()
    async with serve(auth=bearer) as registry:
        registry.add("app:1", IMAGE)
        registry.add("other:1", IMAGE)
        value = (await token(bearer)).json()["token"]
        assert (await pull(registry, value, "other")).status == 401


async def test_a_token_for_several_scopes_serves_them_all() -> None:
    bearer = Bearer()
    async with serve(auth=bearer) as registry:
        registry.add("app:1", IMAGE)
        registry.add("other:1", IMAGE)
        value = (await token(bearer, more="&scope=repository:other:pull")).json()["token"]
        assert [(await pull(registry, value, name)).status for name in ("app", "other")] == [200, 200]


async def test_a_user_gets_what_anybody_does_not() -> None:
    bearer = Bearer(USERS, anonymous=set())
    async with serve(auth=bearer) as registry:
        registry.add("app:1", IMAGE)
        anonymous = (await token(bearer)).json()["token"]
        known = (await token(bearer, user=USER)).json()["token"]
        assert (await pull(registry, anonymous)).status == 401
        assert (await pull(registry, known)).status == 200


async def test_wrong_credentials_get_no_token() -> None:
    bearer = Bearer(USERS)
    async with serve(auth=bearer):
        assert (await token(bearer, user=("ann", "wrong"))).status == 401
    assert bearer.issued == []


async def test_a_token_expires_by_the_clock_given() -> None:
    clock = Clock()
    bearer = Bearer(expires_in=100, clock=clock)
    async with serve(auth=bearer) as registry:
        registry.add("app:1", IMAGE)
        value = (await token(bearer)).json()["token"]
        clock.now += 99
        assert (await pull(registry, value)).status == 200
        clock.now += 1
        got = await pull(registry, value)
    assert got.status == 401
    assert 'error="invalid_token"' in got.headers["WWW-Authenticate"]


async def test_all_tokens_can_be_expired_at_once() -> None:
    bearer = Bearer()
    async with serve(auth=bearer) as registry:
        registry.add("app:1", IMAGE)
        value = (await token(bearer)).json()["token"]
        registry.auth.expire_all()
        assert (await pull(registry, value)).status == 401


async def test_an_expired_token_may_earn_a_400_as_some_registries_have_it() -> None:
    bearer = Bearer(bad_token_status=400)
    async with serve(auth=bearer) as registry:
        registry.add("app:1", IMAGE)
        assert (await pull(registry, "stale")).status == 400
        assert (await get(f"{registry.url}/v2/app/manifests/1")).status == 401


@pytest.mark.parametrize(
    ("field", "names"),
    [("token", {"token"}), ("access_token", {"access_token"}), ("both", {"token", "access_token"})],
)
async def test_the_token_stands_under_the_name_asked_for(field: str, names: set[str]) -> None:
    bearer = Bearer(field=field)
    async with serve(auth=bearer):
        document = (await token(bearer)).json()
    assert {"token", "access_token"} & set(document) == names


async def test_without_expires_in_clients_are_told_nothing() -> None:
    bearer = Bearer(expires_in=None)
    async with serve(auth=bearer):
        assert "expires_in" not in (await token(bearer)).json()


async def test_fields_of_the_token_answer_can_be_overridden() -> None:
    bearer = Bearer(extra={"expires_in": -1, "issued_at": "never"})
    async with serve(auth=bearer):
        document = (await token(bearer)).json()
    assert (document["expires_in"], document["issued_at"]) == (-1, "never")


async def test_another_service_gets_no_token() -> None:
    bearer = Bearer()
    async with serve(auth=bearer):
        assert (await get(f"{bearer.endpoint}?service=other&scope=repository:app:pull")).status == 400


@pytest.mark.parametrize("scope", ["", "nonsense", "repository:app", ":::"])
async def test_a_malformed_scope_grants_nothing(scope: str) -> None:
    bearer = Bearer()
    async with serve(auth=bearer) as registry:
        registry.add("app:1", IMAGE)
        assert (await pull(registry, (await token(bearer, scope)).json()["token"])).status == 401


async def test_an_identity_token_is_traded_for_an_access_token() -> None:
    bearer = Bearer(anonymous=set(), identity_tokens={"long-lived": "ann"})
    form = {
        "grant_type": "refresh_token",
        "refresh_token": "long-lived",
        "service": bearer.service,
        "client_id": "test",
        "scope": "repository:app:pull,push",
    }
    async with serve(auth=bearer) as registry:
        registry.add("app:1", IMAGE)
        document = (await ask("POST", bearer.endpoint, data=form)).json()
        assert (await pull(registry, document["access_token"])).status == 200
        assert document["refresh_token"] == "long-lived"
        assert registry.journal.find(kind="token")[0].form["grant_type"] == "refresh_token"


async def test_a_password_grant_works_and_offline_access_brings_an_identity_token() -> None:
    bearer = Bearer(USERS)
    form = {"grant_type": "password", "username": "ann", "password": "s3cret", "service": bearer.service,
            "access_type": "offline", "scope": "repository:app:pull"}  # fmt: skip
    async with serve(auth=bearer):
        document = (await ask("POST", bearer.endpoint, data=form)).json()
    assert bearer.identity_tokens[document["refresh_token"]] == "ann"


@pytest.mark.parametrize(
    "form", [{"grant_type": "refresh_token", "refresh_token": "wrong"}, {"grant_type": "password", "username": "ann"}]
)
async def test_a_grant_without_proof_is_401(form: dict[str, str]) -> None:
    bearer = Bearer(USERS)
    async with serve(auth=bearer):
        assert (await ask("POST", bearer.endpoint, data={**form, "service": bearer.service})).status == 401


async def test_an_unknown_grant_is_400() -> None:
    bearer = Bearer(USERS)
    async with serve(auth=bearer):
        assert (await ask("POST", bearer.endpoint, data={"service": bearer.service})).status == 400


async def test_an_offline_token_can_be_had_by_get() -> None:
    bearer = Bearer(USERS)
    async with serve(auth=bearer):
        document = (await token(bearer, user=USER, more="&offline_token=true")).json()
    assert bearer.identity_tokens[document["refresh_token"]] == "ann"


async def test_the_token_server_can_sit_on_a_port_of_its_own() -> None:
    bearer = Bearer(separate=True)
    async with serve(auth=bearer) as registry:
        registry.add("app:1", IMAGE)
        assert urlsplit(bearer.endpoint).netloc != registry.host
        assert (await pull(registry, (await token(bearer)).json()["token"])).status == 200
        assert registry.journal.count(kind="token") == 1


async def test_a_challenge_can_name_any_realm() -> None:
    async with serve(auth=Bearer(realm="https://elsewhere.example/token")) as registry:
        got = await get(f"{registry.url}/v2/")
    assert 'realm="https://elsewhere.example/token"' in got.headers["WWW-Authenticate"]


async def test_the_journal_prints_no_credentials() -> None:
    async with serve(auth=Basic(USERS)) as registry:
        await ask("GET", f"{registry.url}/v2/", auth=USER)
        printed = repr(registry.journal.requests)
    assert basic(*USER) not in printed
    assert parse_qs(registry.journal.requests[0].query) == {}
