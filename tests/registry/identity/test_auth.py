"""The Authenticator: what is sent, how often a token server is asked, and what happens when tokens end."""

import json
from urllib.parse import parse_qs, urlsplit

import anyio
import pytest

from puller.contracts.access import Credential
from puller.errors import ConnectionLost, ProtocolViolation, RegistryError, Unauthorized, Unavailable
from puller.registry.identity import auth
from puller.registry.identity.auth import Authenticator, Scope, TokenAnswer
from tests.registry.token_server import CHALLENGE, REALM, USER, Asked, TokenServer

SCOPE = Scope("team/app")


def asked_for(request: Asked) -> dict[str, list[str]]:
    return parse_qs(urlsplit(request.url).query)


async def ask_often(authenticator: Authenticator, times: int, *, rejected: str | None) -> list[str | RegistryError]:
    """The outcomes of that many tasks which are challenged at the same time."""
    outcomes: list[str | RegistryError] = []

    async def ask() -> None:
        try:
            outcomes.append(await authenticator.challenged(SCOPE, CHALLENGE, rejected=rejected))
        except RegistryError as error:
            outcomes.append(error)

    async with anyio.create_task_group() as tasks:
        for _ in range(times):
            tasks.start_soon(ask)
    return outcomes


def test_a_scope_is_written_as_the_token_specification_does() -> None:
    assert str(Scope("team/app")) == "repository:team/app:pull"
    assert str(Scope("team/app", ("push", "pull", "push"))) == "repository:team/app:pull,push"
    assert Scope("team/app", ("push", "pull")) == Scope("team/app", ("pull", "push"))


async def test_nothing_is_sent_before_the_registry_has_asked() -> None:
    server = TokenServer()
    assert await server.authenticator(USER).authorization(SCOPE) is None
    assert server.asked == []


async def test_nobody_gets_a_token_by_get_without_authorization() -> None:
    server = TokenServer()
    assert await server.authenticator().challenged(SCOPE, CHALLENGE, rejected=None) == "Bearer token-1"
    (request,) = server.asked
    assert (request.method, request.form, request.authorization) == ("GET", None, None)
    assert request.url.startswith(REALM + "?")
    assert asked_for(request) == {"service": ["example"], "scope": ["repository:team/app:pull"]}


async def test_a_user_gets_a_token_by_basic() -> None:
    server = TokenServer()
    await server.authenticator(USER).challenged(SCOPE, CHALLENGE, rejected=None)
    assert server.asked[0].authorization == "Basic dXNlcjpwYXNz"


async def test_an_identity_token_is_exchanged_by_post() -> None:
    server = TokenServer()
    holder = server.authenticator(Credential("", "", "identity"))
    assert await holder.challenged(SCOPE, CHALLENGE, rejected=None) == "Bearer token-1"
    (request,) = server.asked
    assert (request.method, request.url, request.authorization) == ("POST", REALM, None)
    assert request.form == {
        "grant_type": "refresh_token",
        "refresh_token": "identity",
        "client_id": "puller",
        "service": "example",
        "scope": "repository:team/app:pull",
    }


async def test_without_a_service_none_is_asked_for() -> None:
    server = TokenServer()
    await server.authenticator().challenged(SCOPE, [f'Bearer realm="{REALM}"'], rejected=None)
    assert asked_for(server.asked[0]) == {"scope": ["repository:team/app:pull"]}


async def test_what_a_realm_has_in_its_query_is_kept() -> None:
    server = TokenServer()
    challenge = [f'Bearer realm="{REALM}?tenant=a%26b&empty=",service="x y"']
    await server.authenticator().challenged(SCOPE, challenge, rejected=None)
    query = urlsplit(server.asked[0].url).query
    assert query == "tenant=a%26b&empty=&service=x%20y&scope=repository%3Ateam%2Fapp%3Apull"


async def test_a_token_is_sent_unasked_while_it_is_fresh() -> None:
    server = TokenServer(expires_in=300)
    authenticator = server.authenticator()
    await authenticator.challenged(SCOPE, CHALLENGE, rejected=None)
    server.now += 239
    assert await authenticator.authorization(SCOPE) == "Bearer token-1"
    assert len(server.asked) == 1


async def test_a_token_is_replaced_before_it_ends() -> None:
    server = TokenServer(expires_in=300)
    authenticator = server.authenticator(USER)
    await authenticator.challenged(SCOPE, CHALLENGE, rejected=None)
    server.now += 241
    assert await authenticator.authorization(SCOPE) == "Bearer token-2"
    assert asked_for(server.asked[1]) == asked_for(server.asked[0])
    assert server.asked[1].authorization == USER.basic


async def test_a_life_is_counted_from_before_the_request() -> None:
    server = TokenServer(expires_in=300, delay=200)
    authenticator = server.authenticator()
    await authenticator.challenged(SCOPE, CHALLENGE, rejected=None)
    server.now += 41
    assert await authenticator.authorization(SCOPE) == "Bearer token-2"


async def test_b13_a_token_of_one_second_is_used_for_a_while() -> None:
    server = TokenServer(expires_in=1)
    authenticator = server.authenticator()
    await authenticator.challenged(SCOPE, CHALLENGE, rejected=None)
    server.now += 47
    assert await authenticator.authorization(SCOPE) == "Bearer token-1"


async def test_a_failing_token_server_does_not_end_a_token_that_lives() -> None:
    server = TokenServer(expires_in=300)
    authenticator = server.authenticator()
    await authenticator.challenged(SCOPE, CHALLENGE, rejected=None)
    server.failures = [Unavailable("down"), ConnectionLost("cut")]
    server.now += 250
    assert await authenticator.authorization(SCOPE) == "Bearer token-1"
    server.now += 50
    with pytest.raises(ConnectionLost):
        await authenticator.authorization(SCOPE)


async def test_a_refusing_token_server_ends_it_at_once() -> None:
    server = TokenServer(expires_in=300)
    authenticator = server.authenticator()
    await authenticator.challenged(SCOPE, CHALLENGE, rejected=None)
    server.answers = [TokenAnswer(401, {}, b"")]
    server.now += 250
    with pytest.raises(Unauthorized):
        await authenticator.authorization(SCOPE)


async def test_n10_a_rejected_token_is_replaced_once_however_many_tasks_sent_it() -> None:
    server = TokenServer()
    authenticator = server.authenticator()
    await authenticator.challenged(SCOPE, CHALLENGE, rejected=None)
    outcomes = await ask_often(authenticator, 50, rejected="Bearer token-1")
    assert set(outcomes) == {"Bearer token-2"}
    assert await authenticator.challenged(SCOPE, CHALLENGE, rejected="Bearer token-1") == "Bearer token-2"
    assert len(server.asked) == 2


async def test_n10_an_expired_token_is_replaced_after_a_400_without_challenge() -> None:
    server = TokenServer()
    authenticator = server.authenticator()
    await authenticator.challenged(SCOPE, CHALLENGE, rejected=None)
    assert await authenticator.challenged(SCOPE, [], rejected="Bearer token-1") == "Bearer token-2"


async def test_fifty_first_requests_need_one_token() -> None:
    server = TokenServer()
    outcomes = await ask_often(server.authenticator(), 50, rejected=None)
    assert outcomes == ["Bearer token-1"] * 50
    assert len(server.asked) == 1


async def test_tasks_that_waited_share_a_token_server_that_repeats_itself() -> None:
    server = TokenServer(text="always")
    authenticator = server.authenticator()
    await authenticator.challenged(SCOPE, CHALLENGE, rejected=None)
    assert await ask_often(authenticator, 50, rejected="Bearer always") == ["Bearer always"] * 50
    assert len(server.asked) == 2


async def test_n12_tasks_that_waited_share_a_failure() -> None:
    server = TokenServer(failures=[Unavailable("down")])
    authenticator = server.authenticator()
    outcomes = await ask_often(authenticator, 50, rejected=None)
    assert [type(outcome) for outcome in outcomes] == [Unavailable] * 50
    assert len({id(outcome) for outcome in outcomes}) == 50
    assert len(server.asked) == 1
    assert await authenticator.challenged(SCOPE, CHALLENGE, rejected=None) == "Bearer token-2"


async def test_n12_tasks_that_come_during_a_fetch_share_its_failure() -> None:
    gate = anyio.Event()
    server = TokenServer(gates=[gate], failures=[Unavailable("down")])
    authenticator = server.authenticator()
    outcomes: list[list[str | RegistryError]] = []

    async def ask() -> None:
        outcomes.append(await ask_often(authenticator, 1, rejected=None))

    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(ask)
            await anyio.wait_all_tasks_blocked()
        gate.set()
    assert [type(outcome) for (outcome,) in outcomes] == [Unavailable] * 3
    assert len(server.asked) == 1


async def test_n12_a_failure_of_the_token_server_says_that_it_is_final() -> None:
    server = TokenServer(answers=[TokenAnswer(503, {}, b"")])
    with pytest.raises(Unavailable) as caught:
        await server.authenticator().challenged(SCOPE, CHALLENGE, rejected=None)
    assert caught.value.attempts == 1


async def test_a_stale_token_answers_no_challenge() -> None:
    server = TokenServer(expires_in=300)
    authenticator = server.authenticator()
    await authenticator.challenged(SCOPE, CHALLENGE, rejected=None)
    server.now += 250
    assert await authenticator.challenged(SCOPE, CHALLENGE, rejected=None) == "Bearer token-2"


async def test_an_old_failure_does_not_answer_a_later_task() -> None:
    server = TokenServer(failures=[Unavailable("down")])
    authenticator = server.authenticator()
    assert [type(outcome) for outcome in await ask_often(authenticator, 1, rejected=None)] == [Unavailable]
    server.gates = [anyio.Event()]
    first = anyio.CancelScope()
    got: list[str] = []

    async def ask(scope: anyio.CancelScope) -> None:
        with scope:
            got.append(await authenticator.challenged(SCOPE, CHALLENGE, rejected=None))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask, first)
        tasks.start_soon(ask, anyio.CancelScope())
        await anyio.wait_all_tasks_blocked()
        first.cancel()
    assert got == ["Bearer token-3"]


async def test_a_cancelled_task_leaves_the_fetch_to_the_next() -> None:
    server = TokenServer(gates=[anyio.Event()])
    authenticator = server.authenticator()
    got: list[str] = []

    async def ask(scope: anyio.CancelScope) -> None:
        with scope:
            got.append(await authenticator.challenged(SCOPE, CHALLENGE, rejected=None))

    first = anyio.CancelScope()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask, first)
        await anyio.wait_all_tasks_blocked()
        tasks.start_soon(ask, anyio.CancelScope())
        await anyio.wait_all_tasks_blocked()
        assert len(server.asked) == 1
        first.cancel()
    assert got == ["Bearer token-2"]


@pytest.mark.parametrize("rejected", [None, "Bearer token-1"])
async def test_n11_each_challenge_costs_at_most_one_request(rejected: str | None) -> None:
    server = TokenServer()
    authenticator = server.authenticator(USER)
    for number in range(1, 6):
        challenge = [f'Bearer realm="https://example.com/{number}",service="example"']
        assert await authenticator.challenged(SCOPE, challenge, rejected=rejected) == f"Bearer token-{number}"
        assert len(server.asked) == number


async def test_a_token_of_one_realm_or_service_does_not_answer_another() -> None:
    server = TokenServer()
    authenticator = server.authenticator()
    for challenge in (
        CHALLENGE[0],
        f'Bearer realm="{REALM}/b",service="example"',
        f'Bearer realm="{REALM}",service="b"',
    ):
        await authenticator.challenged(SCOPE, [challenge], rejected=None)
    assert len(server.asked) == 3


async def test_insufficient_scope_is_final() -> None:
    server = TokenServer()
    authenticator = server.authenticator()
    await authenticator.challenged(SCOPE, CHALLENGE, rejected=None)
    with pytest.raises(Unauthorized, match="repository:team/app:pull"):
        await authenticator.challenged(SCOPE, [f'{CHALLENGE[0]},error="insufficient_scope"'], rejected="Bearer token-1")
    assert len(server.asked) == 1


async def test_insufficient_scope_without_a_token_is_an_invitation() -> None:
    challenge = [f'{CHALLENGE[0]},error="insufficient_scope"']
    assert await TokenServer().authenticator().challenged(SCOPE, challenge, rejected=None) == "Bearer token-1"


async def test_basic_is_answered_and_then_sent_unasked() -> None:
    server = TokenServer()
    authenticator = server.authenticator(USER)
    assert await authenticator.challenged(SCOPE, ['Basic realm="x"'], rejected=None) == USER.basic
    assert await authenticator.authorization(Scope("other")) == USER.basic
    assert server.asked == []


async def test_rejected_basic_is_final() -> None:
    authenticator = TokenServer().authenticator(USER)
    with pytest.raises(Unauthorized, match="refuses the user name and password"):
        await authenticator.challenged(SCOPE, ["Basic realm=x"], rejected=USER.basic)


@pytest.mark.parametrize("credential", [None, Credential("", "", "identity"), Credential("user", "", "identity")])
async def test_basic_without_a_password_is_unauthorized(credential: Credential | None) -> None:
    with pytest.raises(Unauthorized, match="password"):
        await TokenServer().authenticator(credential).challenged(SCOPE, ["Basic realm=x"], rejected=None)


@pytest.mark.parametrize(
    "lines",
    [
        ["Negotiate", CHALLENGE[0]],
        [f"Negotiate abc==, {CHALLENGE[0]}"],
        [f'Digest realm="a, b", nonce=x, {CHALLENGE[0]}'],
        ["Basic realm=x", CHALLENGE[0]],
        [f"{CHALLENGE[0]}, Bearer realm=other"],
    ],
)
async def test_b14_unknown_schemes_are_passed_over_and_bearer_comes_first(lines: list[str]) -> None:
    assert await TokenServer().authenticator(USER).challenged(SCOPE, lines, rejected=None) == "Bearer token-1"


@pytest.mark.parametrize("lines", [[], ["Negotiate"], ['Digest realm="x"', "NTLM"]])
async def test_b14_only_unknown_schemes_are_unauthorized(lines: list[str]) -> None:
    with pytest.raises(Unauthorized, match="wanted Bearer or Basic"):
        await TokenServer().authenticator(USER).challenged(SCOPE, lines, rejected=None)


@pytest.mark.parametrize(
    "line", ["Bearer", "Bearer service=x", "Bearer abc==", 'Bearer realm="a', "Bearer realm=a, realm=b"]
)
async def test_b14_a_malformed_bearer_challenge_does_not_fall_back_to_basic(line: str) -> None:
    server = TokenServer()
    with pytest.raises(ProtocolViolation):
        await server.authenticator(USER).challenged(SCOPE, ["Basic realm=x", line], rejected=None)
    assert server.asked == []


@pytest.mark.parametrize(
    "answer",
    [
        TokenAnswer(500, {}, b"oops"),
        TokenAnswer(200, {}, b"<html>"),
        TokenAnswer(200, {}, b"{}"),
        TokenAnswer(200, {}, b'{"token": "' + b"x" * 10_000_000),
        TokenAnswer(302, {"Location": "https://evil.com/"}, b""),
        TokenAnswer(200, {}, json.dumps({"token": "a\r\nHost: evil"}).encode()),
        TokenAnswer(403, {}, b""),
    ],
    ids=["500", "html", "no token", "10 MB", "redirect", "header injection", "403"],
)
async def test_n12_a_bad_token_answer_is_typed_and_nobody_else_is_asked(answer: TokenAnswer) -> None:
    server = TokenServer(answers=[answer])
    authenticator = server.authenticator(USER)
    with pytest.raises(RegistryError) as caught:
        await authenticator.challenged(SCOPE, CHALLENGE, rejected=None)
    assert caught.value.host == "example.com"
    assert caught.value.phase == "authentication"
    assert [urlsplit(request.url).hostname for request in server.asked] == ["example.com"]
    assert await authenticator.authorization(SCOPE) is None


async def test_tokens_kept_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth, "MAX_SCOPES", 3)
    server = TokenServer()
    authenticator = server.authenticator()
    scopes = [Scope(f"app{number}") for number in range(4)]
    for scope in scopes:
        await authenticator.challenged(scope, CHALLENGE, rejected=None)
    known = [await authenticator.authorization(scope) for scope in scopes]
    assert known == [None, "Bearer token-2", "Bearer token-3", "Bearer token-4"]
