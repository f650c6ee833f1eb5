"""Accounts that are asked for: how often, until when, and what becomes of failures."""

import base64
import json
from collections.abc import Callable

import anyio
import anyio.lowlevel
import pytest

from puller.contracts.access import Credential, KnownIdentity
from puller.errors import HelperFailed
from puller.settings.account import EARLY, REMEMBERED, Chain, HelpedIdentity, expiry
from puller.settings.dockerconfig import Helped

GHCR = Helped("fake", "ghcr.io")
ONE, TWO = Credential("ann", "one"), Credential("ann", "two")
NOW = 1_700_000_000.0


class Program:
    """Answers what a test wants, the last answer again and again."""

    def __init__(self, *answers: Credential | Exception | None) -> None:
        self._answers = list(answers)
        self.asked = 0
        self.now = 0.0

    async def get(self, account: Helped) -> Credential | None:
        self.asked += 1
        await anyio.lowlevel.checkpoint()
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def identity(self) -> HelpedIdentity:
        return HelpedIdentity(self, GHCR, clock=lambda: self.now, wall=lambda: NOW + self.now)


def jwt(**claims: object) -> str:
    """A token as RFC 7519 writes them, with a signature of nothing."""
    parts = ({"alg": "none"}, claims)
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
    return ".".join([*encoded, "c2ln"])


async def outcomes(times: int, ask: Callable[[], object]) -> list[object]:
    """What so many tasks get that ask at once."""
    found: list[object] = []

    async def one() -> None:
        try:
            found.append(await ask())  # type: ignore[misc]  # what it gives can be awaited
        except HelperFailed as error:
            found.append(str(error))

    async with anyio.create_task_group() as tasks:
        for _ in range(times):
            tasks.start_soon(one)
    return found


async def test_nobody_is_asked_before_the_secret_is_wanted() -> None:
    program = Program(ONE)
    identity = program.identity()
    assert identity.name == "docker-credential-fake for ghcr.io"
    assert program.asked == 0


async def test_however_many_tasks_want_to_know_the_helper_is_asked_once() -> None:
    program = Program(ONE, TWO)
    identity = program.identity()
    assert await outcomes(20, identity.credential) == [ONE] * 20
    assert await identity.credential() == ONE
    assert program.asked == 1


async def test_that_there_is_none_is_remembered_too() -> None:
    program = Program(None, ONE)
    identity = program.identity()
    assert [await identity.credential() for _ in range(3)] == [None] * 3
    assert program.asked == 1


@pytest.mark.parametrize("kind", ["password", "identity token"])
async def test_a_secret_that_says_when_it_ends_is_asked_for_again_before(kind: str) -> None:
    token = jwt(exp=NOW + 3600)
    first = Credential("ann", token) if kind == "password" else Credential("", "", token)
    program = Program(first, TWO)
    identity = program.identity()
    assert await identity.credential() == first
    program.now = 3600 - EARLY - 1
    assert await identity.credential() == first
    program.now = 3600 - EARLY
    assert await identity.credential() == TWO
    assert program.asked == 2


async def test_a_secret_that_has_ended_already_is_not_asked_for_at_every_turn() -> None:
    program = Program(Credential("ann", jwt(exp=NOW - 10)))
    identity = program.identity()
    assert await identity.credential() == await identity.credential()
    assert program.asked == 1


async def test_a_refused_secret_is_asked_for_again_and_the_new_one_kept() -> None:
    program = Program(ONE, TWO)
    identity = program.identity()
    assert await identity.credential() == ONE
    assert await outcomes(10, lambda: identity.renewed(ONE)) == [TWO] * 10
    assert await identity.credential() == TWO
    assert program.asked == 2


async def test_a_helper_that_repeats_a_refused_secret_is_asked_no_third_time() -> None:
    program = Program(ONE)
    identity = program.identity()
    assert await identity.credential() == ONE
    assert await outcomes(10, lambda: identity.renewed(ONE)) == [None] * 10
    assert program.asked == 2


async def test_b11_a_failure_is_shared_and_the_helper_left_alone_for_a_while() -> None:
    program = Program(HelperFailed("it broke"), ONE)
    identity = program.identity()
    assert await outcomes(10, identity.credential) == ["it broke"] * 10
    assert program.asked == 1
    program.now = REMEMBERED
    assert await identity.credential() == ONE


async def test_a_cancelled_question_is_asked_anew_by_whoever_wants_it_next() -> None:
    program = Program(ONE)
    identity = program.identity()
    with anyio.CancelScope() as scope:
        scope.cancel()
        await identity.credential()
    assert await identity.credential() == ONE


@pytest.mark.parametrize(
    ("secret", "end"),
    [
        (jwt(exp=1234), 1234.0),
        (jwt(exp=1234.5), 1234.5),
        (jwt(), None),
        (jwt(exp="1234"), None),
        (jwt(exp=True), None),
        (jwt(exp=None), None),
        ("a.b", None),
        ("a.b.c", None),
        ("..", None),
        ("correct horse. battery. staple.", None),
        ("a.W10.c", None),
        ("ä.ö.ü", None),
        ("a." + "A" * 100_000 + ".c", None),
        ("", None),
    ],
)
def test_the_end_of_a_token_is_read_from_its_claims(secret: str, end: float | None) -> None:
    assert expiry(secret) == end


async def test_of_a_chain_the_first_that_knows_a_secret_counts() -> None:
    nobody, known = Program(None), KnownIdentity("file", TWO)
    chain = Chain((nobody.identity(), known))
    assert await chain.credential() == TWO
    assert chain.name == "docker-credential-fake for ghcr.io, else file"
    assert await Chain((Program(ONE).identity(), known)).credential() == ONE
    assert await Chain((nobody.identity(),)).credential() is None


async def test_b11_a_broken_link_of_a_chain_is_not_passed_over() -> None:
    chain = Chain((Program(HelperFailed("it broke")).identity(), KnownIdentity("file", TWO)))
    with pytest.raises(HelperFailed):
        await chain.credential()


async def test_in_place_of_a_refused_secret_a_chain_asks_the_account_that_it_is_of() -> None:
    renewing = Program(ONE, TWO)
    chain = Chain((renewing.identity(), KnownIdentity("file", Credential("bob", "x"))))
    assert await chain.credential() == ONE
    assert await chain.renewed(ONE) == TWO
    assert await chain.credential() == TWO
    last = Chain((Program(None).identity(), KnownIdentity("file", TWO)))
    assert await last.renewed(TWO) is None
