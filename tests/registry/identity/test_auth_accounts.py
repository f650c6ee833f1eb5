"""Accounts whose secrets are asked for, end, and are refused; tokens that are sent as they are; several accounts."""

import json
from collections.abc import Sequence

import anyio
import anyio.lowlevel
import pytest

from puller.contracts.access import Credential, Identity, KnownIdentity
from puller.errors import HelperFailed, RegistryError, Unauthorized
from puller.model.reference import Reference
from puller.registry.client import RegistryClient
from puller.registry.identity.auth import NO_SCOPE, Authenticator, Scope
from puller.registry.identity.token import TokenAnswer
from puller.registry.transport.origin import Origin
from testregistry import Basic, Bearer, serve
from tests.registry.scene import Time, content, described, fetched
from tests.registry.token_server import CHALLENGE, REGISTRY, TokenServer

SCOPE = Scope("team/app")
BASIC = ['Basic realm="x"']
ONE, TWO = Credential("ann", "one"), Credential("ann", "two")
REFUSAL = TokenAnswer(401, {}, b"")


class Renewing:
    """Gives one secret after the other, as far as they go: the next when the one before is refused."""

    def __init__(self, *secrets: Credential | Exception) -> None:
        self.secrets = list(secrets)
        self.renewals = 0

    @property
    def name(self) -> str:
        return "renewing"

    async def credential(self) -> Credential | None:
        await anyio.lowlevel.checkpoint()
        if isinstance(self.secrets[0], Exception):
            raise self.secrets[0]
        return self.secrets[0]

    async def renewed(self, refused: Credential) -> Credential | None:
        self.renewals += 1
        if self.secrets[0] == refused and len(self.secrets) > 1:
            del self.secrets[0]
        return None if self.secrets[0] == refused else await self.credential()


def authenticator(server: TokenServer, identity: Identity, registry: Origin = REGISTRY) -> Authenticator:
    return Authenticator(registry=registry, identity=identity, request=server, clock=lambda: server.now)


async def test_no_secret_is_asked_for_before_the_registry_wants_it() -> None:
    holder = authenticator(TokenServer(), Renewing(HelperFailed("nobody asks")))
    assert await holder.authorization(SCOPE) is None


async def test_b11_a_broken_helper_is_told_with_its_registry_and_no_token_is_asked_for_as_nobody() -> None:
    server = TokenServer()
    holder = authenticator(server, Renewing(HelperFailed("it broke")))
    for challenge in (CHALLENGE, BASIC):
        with pytest.raises(HelperFailed, match=r"it broke.*phase authentication.*host registry\.example\.com"):
            await holder.challenged(SCOPE, challenge, rejected=None)
    assert server.asked == []


@pytest.mark.parametrize(
    ("first", "refusal"),
    [
        (ONE, REFUSAL),
        (Credential("", "", "identity"), REFUSAL),
        (Credential("", "", "identity"), TokenAnswer(400, {}, b'{"error": "invalid_grant"}')),
    ],
    ids=["password", "identity token", "identity token that ended"],
)
async def test_a_secret_that_the_token_server_refuses_is_asked_for_again_once(
    first: Credential, refusal: TokenAnswer
) -> None:
    server, identity = TokenServer(answers=[refusal]), Renewing(first, TWO)
    assert await authenticator(server, identity).challenged(SCOPE, CHALLENGE, rejected=None) == "Bearer token-2"
    assert (identity.renewals, len(server.asked)) == (1, 2)
    assert server.asked[1].authorization == TWO.basic


async def test_a_second_refusal_is_the_end() -> None:
    server, identity = TokenServer(answers=[REFUSAL, REFUSAL]), Renewing(ONE, TWO, Credential("ann", "three"))
    with pytest.raises(Unauthorized, match="token server refuses"):
        await authenticator(server, identity).challenged(SCOPE, CHALLENGE, rejected=None)
    assert (identity.renewals, len(server.asked)) == (1, 2)


async def test_without_another_secret_the_token_server_is_not_asked_again() -> None:
    server, identity = TokenServer(answers=[REFUSAL]), Renewing(ONE)
    with pytest.raises(Unauthorized):
        await authenticator(server, identity).challenged(SCOPE, CHALLENGE, rejected=None)
    assert (identity.renewals, len(server.asked)) == (1, 1)


@pytest.mark.parametrize("status", [400, 403, 404, 200])
async def test_only_a_refusal_of_the_secret_makes_a_new_one_be_asked_for(status: int) -> None:
    answer = TokenAnswer(status, {}, json.dumps({"token": "t"}).encode())
    server, identity = TokenServer(answers=[answer]), Renewing(ONE, TWO)
    try:
        await authenticator(server, identity).challenged(SCOPE, CHALLENGE, rejected=None)
    except RegistryError:
        assert status != 200
    assert (identity.renewals, len(server.asked)) == (0, 1)


async def test_a_password_that_the_registry_refuses_is_asked_for_again_once() -> None:
    identity = Renewing(ONE, TWO)
    holder = authenticator(TokenServer(), identity)
    assert await holder.challenged(SCOPE, BASIC, rejected=None) == ONE.basic
    assert await holder.challenged(SCOPE, BASIC, rejected=ONE.basic) == TWO.basic
    assert await holder.authorization(SCOPE) == TWO.basic
    with pytest.raises(Unauthorized, match="refuses the user name and password"):
        await holder.challenged(SCOPE, BASIC, rejected=TWO.basic)
    assert identity.renewals == 2


async def test_a_secret_that_has_ended_meanwhile_is_replaced_without_a_refusal() -> None:
    identity = Renewing(ONE)
    server = TokenServer(expires_in=60)
    holder = authenticator(server, identity)
    await holder.challenged(SCOPE, CHALLENGE, rejected=None)
    identity.secrets = [TWO]
    server.now += 59
    assert await holder.authorization(SCOPE) == "Bearer token-2"
    assert [asked.authorization for asked in server.asked] == [ONE.basic, TWO.basic]


async def test_a_registry_token_is_sent_as_it_is_and_no_token_server_is_asked() -> None:
    server = TokenServer()
    holder = authenticator(server, KnownIdentity("x", Credential("", "", "", "abc.def")))
    assert await holder.challenged(SCOPE, CHALLENGE, rejected=None) == "Bearer abc.def"
    assert await holder.authorization(Scope("team/other")) == "Bearer abc.def"
    assert server.asked == []


@pytest.mark.parametrize("challenge", [CHALLENGE, ['Bearer realm="https://evil.example/token"']])
async def test_b3_a_registry_token_goes_to_no_token_server_whatever_it_is_called(challenge: Sequence[str]) -> None:
    server = TokenServer()
    holder = authenticator(server, KnownIdentity("x", Credential("", "", "", "abc.def")))
    assert await holder.challenged(SCOPE, challenge, rejected=None) == "Bearer abc.def"
    with pytest.raises(Unauthorized, match="refuses the token"):
        await holder.challenged(SCOPE, challenge, rejected="Bearer abc.def")
    assert server.asked == []


async def test_b1_a_registry_token_does_not_go_over_plain_http_unasked() -> None:
    holder = authenticator(
        TokenServer(), KnownIdentity("x", Credential("", "", "", "abc.def")), Origin("http", "127.0.0.1", 5000)
    )
    with pytest.raises(Unauthorized, match="plain HTTP"):
        await holder.challenged(SCOPE, ['Bearer realm="http://127.0.0.1:5000/token"'], rejected=None)


async def test_a_registry_that_wants_a_password_is_not_given_a_token() -> None:
    holder = authenticator(TokenServer(), KnownIdentity("x", Credential("", "", "", "abc.def")))
    with pytest.raises(Unauthorized, match="only a token is known"):
        await holder.challenged(SCOPE, BASIC, rejected=None)


async def test_at_a_login_no_scope_is_asked_for() -> None:
    server = TokenServer()
    holder = authenticator(server, KnownIdentity("x", ONE))
    assert not holder.has_shown_credentials
    await holder.challenged(NO_SCOPE, CHALLENGE, rejected=None)
    assert server.asked[0].url.endswith("/token?service=example")
    assert holder.has_shown_credentials


async def test_credentials_that_nobody_trusted_has_seen_count_as_not_shown() -> None:
    server = TokenServer()
    holder = authenticator(server, KnownIdentity("x", ONE))
    await holder.challenged(NO_SCOPE, ['Bearer realm="https://other.example/token"'], rejected=None)
    assert server.asked[0].authorization is None
    assert not holder.has_shown_credentials


class ByTeam:
    """An account for each part of a registry."""

    def __init__(self, password: str = "x") -> None:
        self._password = password

    def identity(self, registry: str, repository: str) -> KnownIdentity | None:
        team = repository.partition("/")[0]
        return None if team == "public" else KnownIdentity(f"of {team}", Credential(team, self._password))


@pytest.mark.parametrize("kind", ["basic", "bearer"])
async def test_b20_accounts_of_one_registry_share_neither_tokens_nor_connections(kind: str) -> None:
    users = {"red": "x", "blue": "x"}
    auth = Basic(users) if kind == "basic" else Bearer(users, anonymous=set())
    blob = content(1000)
    async with serve(auth=auth) as registry:
        for repository in ("red/app", "red/other", "blue/app"):
            registry.add_blob(repository, blob)
        keyring, plain = ByTeam(), (registry.host,)
        async with RegistryClient(keyring=keyring, plain_http=plain, world=Time().world()) as client:
            for repository in ("red/app", "blue/app", "red/other", "red/app", "blue/app"):
                opened = client.repository(Reference.parse(registry.name(repository)))
                assert await fetched(opened, described(blob)) == blob
        if isinstance(auth, Bearer):
            sent = {token.value: token.user for token in auth.issued}
            users_of = {(scope.name, token.user) for token in auth.issued for scope in token.scopes}
            assert users_of == {("red/app", "red"), ("red/other", "red"), ("blue/app", "blue")}
        else:
            sent = {Credential(user, "x").basic.partition(" ")[2]: user for user in users}
        lent = {
            (request.repository, sent[request.headers["Authorization"].partition(" ")[2]])
            for request in registry.journal.find(kind="blob")
            if "Authorization" in request.headers
        }
        assert lent == {("red/app", "red"), ("red/other", "red"), ("blue/app", "blue")}
        ports = {
            user: {request.port for request in registry.journal.find(kind="blob") if f"{user}/" in request.path}
            for user in users
        }
        assert not ports["red"] & ports["blue"]
        assert {len(used) for used in ports.values()} == {1}


async def test_b20_who_has_no_account_for_a_part_is_nobody_there() -> None:
    blob = content(1000)
    async with serve(auth=Bearer({"red": "x"})) as registry:
        registry.add_blob("red/app", blob)
        registry.add_blob("public/app", blob)
        async with RegistryClient(keyring=ByTeam(), plain_http=(registry.host,), world=Time().world()) as client:
            for repository in ("red/app", "public/app"):
                await fetched(client.repository(Reference.parse(registry.name(repository))), described(blob))
        tokens = [request.headers.get("Authorization") for request in registry.journal.find(kind="token")]
        assert tokens == [Credential("red", "x").basic, None]
