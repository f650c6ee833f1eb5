"""The Authenticator under attack: where secrets may go, whose tokens are used, and what errors may say."""

import itertools
import logging
import traceback
from urllib.parse import parse_qs, urlsplit

import pytest

from puller.contracts.access import Credential
from puller.errors import ProtocolViolation, RegistryError, Unauthorized, Unavailable, UnsafeRedirect
from puller.registry.identity.auth import Authenticator, Scope, TokenAnswer
from puller.registry.transport.origin import Origin
from tests.registry.identity.test_realm import UNSAFE, UNUSABLE
from tests.registry.token_server import CHALLENGE, REALM, REGISTRY, USER, TokenServer

SCOPE = Scope("team/app")
PLAIN = Origin("http", "127.0.0.1", 5000)
PLAIN_CHALLENGE = ['Bearer realm="http://127.0.0.1:5001/token",service="example"']


@pytest.mark.parametrize("credential", [None, USER, Credential("", "", "identity")], ids=["nobody", "user", "identity"])
@pytest.mark.parametrize("realm", [*UNSAFE.values(), *UNUSABLE.values()], ids=[*UNSAFE, *UNUSABLE])
async def test_b3_a_hostile_realm_is_never_asked(realm: str, credential: Credential | None) -> None:
    server = TokenServer()
    quoted = realm.replace("\\", "\\\\")
    with pytest.raises((UnsafeRedirect, ProtocolViolation)) as caught:
        await server.authenticator(credential).challenged(SCOPE, [f'Bearer realm="{quoted}"'], rejected=None)
    assert server.asked == []
    assert caught.value.host == "registry.example.com"


async def test_b3_a_duplicated_realm_is_never_asked() -> None:
    server = TokenServer()
    with pytest.raises(ProtocolViolation, match="duplicate"):
        await server.authenticator(USER).challenged(
            SCOPE, [f'Bearer realm="{REALM}",realm="https://evil.com/"'], rejected=None
        )
    assert server.asked == []


@pytest.mark.parametrize("credential", [USER, Credential("", "", "identity")], ids=["user", "identity"])
async def test_b3_a_foreign_realm_is_asked_as_nobody(credential: Credential, caplog: pytest.LogCaptureFixture) -> None:
    server = TokenServer()
    with caplog.at_level(logging.WARNING):
        got = await server.authenticator(credential).challenged(
            SCOPE, ['Bearer realm="https://evil.com/token"'], rejected=None
        )
    assert got == "Bearer token-1"
    (request,) = server.asked
    assert (request.method, request.form, request.authorization) == ("GET", None, None)
    assert request.public_only
    assert "evil.com" in caplog.text


@pytest.mark.parametrize("status", [401, 403])
async def test_b3_a_refusal_by_a_foreign_realm_says_that_no_credentials_were_sent(status: int) -> None:
    server = TokenServer(answers=[TokenAnswer(status, {}, b"")])
    with pytest.raises(Unauthorized, match=r"were not sent to its token server evil\.com") as caught:
        await server.authenticator(USER).challenged(SCOPE, ['Bearer realm="https://evil.com/token"'], rejected=None)
    assert "registry.example.com" in caught.value.hint


@pytest.mark.parametrize("credential", [None, USER, Credential("", "", "identity")], ids=["nobody", "user", "identity"])
@pytest.mark.parametrize("service", ["\udcff", "a\udc80b", "\x85"])
async def test_b14_a_service_that_cannot_be_sent_on_is_a_violation(service: str, credential: Credential | None) -> None:
    server = TokenServer()
    with pytest.raises(ProtocolViolation, match="malformed"):
        await server.authenticator(credential).challenged(
            SCOPE, [f'Bearer realm="{REALM}",service="{service}"'], rejected=None
        )
    assert server.asked == []


async def test_b3_a_named_token_host_sees_the_credentials() -> None:
    server = TokenServer()
    authenticator = server.authenticator(USER, token_hosts=("login.other.org",))
    await authenticator.challenged(SCOPE, ['Bearer realm="https://login.other.org/token"'], rejected=None)
    assert server.asked[0].authorization == USER.basic


async def test_b3_the_session_is_told_to_refuse_local_addresses_behind_foreign_names() -> None:
    server = TokenServer()
    authenticator = server.authenticator()
    await authenticator.challenged(SCOPE, CHALLENGE, rejected=None)
    await authenticator.challenged(SCOPE, ['Bearer realm="https://registry.example.com/token"'], rejected=None)
    assert [request.public_only for request in server.asked] == [True, False]


async def test_b3_a_realm_that_changes_to_a_foreign_one_takes_no_credentials_along() -> None:
    server = TokenServer()
    authenticator = server.authenticator(USER)
    await authenticator.challenged(SCOPE, CHALLENGE, rejected=None)
    await authenticator.challenged(SCOPE, ['Bearer realm="https://evil.com/"'], rejected="Bearer token-1")
    assert [request.authorization for request in server.asked] == [USER.basic, None]
    server.now += 250
    await authenticator.authorization(SCOPE)
    assert server.asked[2].authorization is None


@pytest.mark.parametrize("lines", [PLAIN_CHALLENGE, ["Basic realm=x"]], ids=["bearer", "basic"])
@pytest.mark.parametrize("credential", [USER, Credential("u", "p", "identity")], ids=["user", "identity"])
async def test_b1_credentials_over_plain_http_need_the_flag(lines: list[str], credential: Credential) -> None:
    server = TokenServer()
    with pytest.raises(Unauthorized, match=r"--plain-http 127\.0\.0\.1:5000"):
        await server.authenticator(credential, registry=PLAIN).challenged(SCOPE, lines, rejected=None)
    assert server.asked == []


async def test_b1_nobody_needs_no_flag_on_loopback() -> None:
    server = TokenServer()
    got = await server.authenticator(registry=PLAIN).challenged(SCOPE, PLAIN_CHALLENGE, rejected=None)
    assert got == "Bearer token-1"


async def test_b1_a_named_registry_gets_credentials_over_plain_http() -> None:
    server = TokenServer()
    authenticator = server.authenticator(USER, registry=PLAIN, allow_plain=True)
    await authenticator.challenged(SCOPE, PLAIN_CHALLENGE, rejected=None)
    assert server.asked[0].authorization == USER.basic
    assert await authenticator.challenged(SCOPE, ["Basic realm=x"], rejected=None) == USER.basic


async def test_b1_the_flag_for_a_registry_does_not_open_another_plain_host() -> None:
    server = TokenServer()
    registry = Origin("http", "registry.example.com", 80)
    authenticator = server.authenticator(USER, registry=registry, allow_plain=True)
    await authenticator.challenged(SCOPE, ['Bearer realm="http://auth.example.com/token"'], rejected=None)
    assert server.asked[0].authorization is None


@pytest.mark.parametrize(
    "scope",
    [
        "repository:team/app:pull,push",
        "repository:team/app:*",
        "repository:other:pull,push,delete",
        "repository:team/app:pull repository:other:pull",
        "repository:team/app:pull repository:team/app:pull",
        "repository:team/app:pull,pull",
        "*",
        "registry:catalog:*",
        "",
    ],
)
async def test_b12_only_our_own_scope_is_asked_for(scope: str) -> None:
    server = TokenServer()
    challenge = [f'{CHALLENGE[0]},scope="{scope}"']
    await server.authenticator(USER).challenged(SCOPE, challenge, rejected=None)
    assert parse_qs(urlsplit(server.asked[0].url).query)["scope"] == ["repository:team/app:pull"]


@pytest.mark.parametrize("second", ["repository:team/app:pull", "repository:other:push"])
async def test_b12_a_challenge_with_two_scopes_is_refused_and_nobody_is_asked(second: str) -> None:
    server = TokenServer()
    challenge = [f'{CHALLENGE[0]},scope="repository:team/app:pull",scope="{second}"']
    with pytest.raises(ProtocolViolation, match="duplicate"):
        await server.authenticator(USER).challenged(SCOPE, challenge, rejected=None)
    assert server.asked == []


@pytest.mark.parametrize("key", ["scope", "sc%6Fpe", "service"])
@pytest.mark.parametrize("credential", [USER, Credential("", "", "identity")], ids=["user", "identity"])
async def test_b12_a_scope_hidden_in_the_realm_is_dropped(key: str, credential: Credential) -> None:
    server = TokenServer()
    challenge = [f'Bearer realm="{REALM}?{key}=repository:other:push&a=b",service="example"']
    await server.authenticator(credential).challenged(SCOPE, challenge, rejected=None)
    (request,) = server.asked
    assert "other" not in request.url or request.method == "POST"
    assert parse_qs(urlsplit(request.url).query)["a"] == ["b"]
    assert "push" not in request.url or key == "service"


async def test_b12_a_token_for_one_repository_is_not_sent_for_another() -> None:
    server = TokenServer()
    authenticator = server.authenticator(USER)
    await authenticator.challenged(SCOPE, CHALLENGE, rejected=None)
    assert await authenticator.authorization(Scope("team/other")) is None
    assert await authenticator.authorization(Scope("team/app", ("pull", "push"))) is None
    assert await authenticator.challenged(Scope("team/other"), CHALLENGE, rejected=None) == "Bearer token-2"
    assert await authenticator.authorization(SCOPE) == "Bearer token-1"


async def test_b20_two_identities_on_one_host_share_nothing() -> None:
    server = TokenServer()
    one, other, nobody = server.authenticator(USER), server.authenticator(Credential("b", "c")), server.authenticator()
    for authenticator in (one, other, nobody):
        await authenticator.challenged(SCOPE, CHALLENGE, rejected=None)
    assert [await a.authorization(SCOPE) for a in (one, other, nobody)] == [f"Bearer token-{n}" for n in (1, 2, 3)]
    assert len({request.authorization for request in server.asked}) == 3


async def test_b19_an_environment_with_netrc_and_proxies_changes_nothing(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path_factory.mktemp("home") / ".netrc"
    netrc.write_text("default login user password marker-secret\n")
    netrc.chmod(0o600)
    for name, value in {"HOME": str(netrc.parent), "NETRC": str(netrc), "https_proxy": "http://u:p@evil:1"}.items():
        monkeypatch.setenv(name, value)
    server = TokenServer()
    await server.authenticator().challenged(SCOPE, CHALLENGE, rejected=None)
    assert server.asked[0].authorization is None
    with pytest.raises(Unauthorized):
        await server.authenticator().challenged(SCOPE, ["Basic realm=x"], rejected=None)


MARKED = Credential("marker-secret-user", "marker-secret", "")
MARKED_IDENTITY = Credential("marker-secret-user", "", "marker-secret-identity")
ECHO = b'{"errors": [{"code": "DENIED", "message": "marker-secret"}], "token": "marker-secret \\r\\n"}'
CHALLENGES = {
    "bearer": CHALLENGE,
    "insufficient": [f'{CHALLENGE[0]},error="insufficient_scope",error_description="marker-secret"'],
    "foreign": ['Bearer realm="https://evil.com/marker-secret?token=marker-secret"'],
    "userinfo": ['Bearer realm="https://u:marker-secret@registry.example.com/"'],
    "unusable": ['Bearer realm="marker-secret"'],
    "basic": ['Basic realm="marker-secret"'],
    "duplicate": ['Bearer realm="marker-secret", realm="marker-secret"'],
    "unknown": ['Digest realm="marker-secret"'],
    "malformed": ['Bearer realm="marker-secret'],
    "nothing": [],
}
ANSWERS = [
    *(TokenAnswer(status, {"X": "marker-secret"}, ECHO) for status in (200, 302, 400, 401, 403, 404, 429, 500)),
    TokenAnswer(200, {}, b"<html>marker-secret"),
    TokenAnswer(200, {}, b'{"marker-secret": 1, "marker-secret": 2}'),
]


async def errors_of(authenticator: Authenticator, lines: list[str]) -> list[RegistryError]:
    caught = []
    for rejected in (None, "Bearer marker-secret", MARKED.basic):
        try:
            await authenticator.challenged(SCOPE, lines, rejected=rejected)
        except RegistryError as error:
            caught.append(error)
    return caught


@pytest.mark.parametrize("lines", CHALLENGES.values(), ids=CHALLENGES.keys())
async def test_b15_no_error_and_no_log_holds_a_secret(lines: list[str], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    caught: list[RegistryError] = []
    for credential, answer, registry in itertools.product((MARKED, MARKED_IDENTITY, None), ANSWERS, (REGISTRY, PLAIN)):
        server = TokenServer(answers=[answer] * 3)
        caught += await errors_of(server.authenticator(credential, registry=registry), lines)
    assert len(caught) > 50
    shown = caplog.text + "".join(
        f"{error} {error!r} {error.facts()} {''.join(traceback.format_exception(error))}" for error in caught
    )
    assert "marker-secret" not in shown
    assert MARKED.basic.removeprefix("Basic ") not in shown


async def test_b15_a_failure_while_renewing_holds_no_secret() -> None:
    server = TokenServer(text="marker-secret-token")
    authenticator = server.authenticator(MARKED)
    await authenticator.challenged(SCOPE, CHALLENGE, rejected=None)
    server.failures = [Unavailable("down")]
    server.now += 1000
    with pytest.raises(Unavailable) as caught:
        await authenticator.authorization(SCOPE)
    assert "marker-secret" not in "".join(traceback.format_exception(caught.value)) + repr(authenticator)
