"""Claims of one process: one at a time, remembered within bounds, the nearest place first."""

from pathlib import Path

import anyio
import pytest

from puller.contracts.images import ImageSource
from puller.errors import Unauthorized
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.ops.copying.claims import MAX_PLACES, LocalClaims
from puller.ops.copying.reading import read_document
from tests.ops.copying.scene import described, scene
from tests.ops.story import IMAGE

ONE, TWO, THREE = (Digest.of(text) for text in (b"one", b"two", b"three"))


class Opening:
    """Notes what is opened; who may not read is told so."""

    def __init__(self, *closed: str) -> None:
        self.closed = closed
        self.opened: list[str] = []

    async def source(self, place: str) -> ImageSource:
        self.opened.append(place)
        if place in self.closed:
            raise Unauthorized("you may not read there")
        return Named(place)  # type: ignore[return-value]  # no more of it is asked for


class Named:
    def __init__(self, place: str) -> None:
        self.place = place


async def near(claims: LocalClaims, digest: Digest) -> str | None:
    async with claims.claim(digest) as held:
        return None if held.fetcher is None else getattr(held.fetcher, "place", "lent")


async def test_of_one_digest_the_latest_places_are_remembered() -> None:
    claims = LocalClaims()
    for number in range(MAX_PLACES + 5):
        async with claims.claim(ONE) as held:
            await held.arrived(f"host/app{number}")
    places = [number for number in range(MAX_PLACES + 5) if claims.is_at(ONE, f"host/app{number}")]
    assert places == list(range(5, MAX_PLACES + 5))


async def test_a_digest_is_had_by_one_at_a_time_and_others_at_once() -> None:
    claims, order = LocalClaims(), list[str]()
    has = anyio.Event()

    async def first() -> None:
        async with claims.claim(ONE) as held:
            has.set()
            await anyio.lowlevel.checkpoint()
            order.append("first")
            await held.arrived("host/app")

    async def second() -> None:
        await has.wait()
        async with claims.claim(TWO):
            order.append("another")
        async with claims.claim(ONE) as held:
            order.append("second")
            assert held.is_at("host/app")
            assert not held.is_at("host/other")

    async with anyio.create_task_group() as group:
        group.start_soon(second)
        group.start_soon(first)
    assert order[-1] == "second"
    assert set(order) == {"first", "another", "second"}


async def test_one_who_fails_or_is_cancelled_leaves_it_to_the_next() -> None:
    claims = LocalClaims()
    with pytest.raises(ValueError, match="no"):
        async with claims.claim(ONE):
            raise ValueError("no")
    waiting = anyio.Event()

    async def wait() -> None:
        waiting.set()
        async with claims.claim(ONE):
            pytest.fail("two have it")

    async with claims.claim(ONE), anyio.create_task_group() as group:
        group.start_soon(wait)
        await waiting.wait()
        group.cancel_scope.cancel()
    async with claims.claim(ONE) as held:
        assert not held.is_at("host/app")


async def test_what_arrived_is_read_from_this_machine_before_any_other() -> None:
    places = Opening()
    claims = LocalClaims(places)
    for place in ("far.test/app", "oci-archive:/file", "oci:/near"):
        claims.note(ONE, place)
    assert await near(claims, ONE) == "oci:/near"
    claims.note(TWO, "far.test/app")
    assert await near(claims, TWO) == "far.test/app"
    claims.note(THREE, "docker-archive:/file")
    assert await near(claims, THREE) is None
    assert await near(LocalClaims(), ONE) is None


async def test_a_place_that_may_not_be_read_is_asked_once() -> None:
    places = Opening("far.test/app")
    claims = LocalClaims(places)
    claims.note(ONE, "far.test/app")
    assert [await near(claims, ONE), await near(claims, ONE)] == [None, None]
    assert places.opened == ["far.test/app"]


async def test_documents_are_lent_until_there_are_too_many() -> None:
    claims = LocalClaims(lent=10)
    claims.lend(ONE, b"12345")
    claims.lend(TWO, b"12345")
    claims.lend(ONE, b"12345")
    claims.lend(THREE, b"1")
    assert [await near(claims, digest) for digest in (ONE, TWO, THREE)] == ["lent", None, "lent"]
    claims.lend(TWO, b"longer than all of it")
    assert [await near(claims, digest) for digest in (ONE, TWO, THREE)] == [None, None, None]


async def test_a_document_is_lent_as_it_is() -> None:
    claims = LocalClaims()
    claims.lend(described(IMAGE).digest, IMAGE.raw)
    async with claims.claim(described(IMAGE).digest) as held:
        assert held.fetcher is not None
        assert await read_document(held.fetcher, described(IMAGE)) == IMAGE.raw
        async with held.fetcher.fetch(Descriptor("x/y", ONE), offset=5) as body:
            assert b"".join([bytes(chunk) async for chunk in body]) == IMAGE.raw[5:]


async def test_of_very_many_digests_the_oldest_are_forgotten() -> None:
    claims = LocalClaims(known=2)
    for digest in (ONE, TWO, ONE, THREE):
        claims.note(digest, "host/app")
    assert [claims.is_at(digest, "host/app") for digest in (ONE, TWO, THREE)] == [True, False, True]


async def test_who_can_lend_in_a_registry_is_known() -> None:
    claims = LocalClaims()
    for place in ("oci:/near", "host.test:5000/team/app", "host/app"):
        claims.note(ONE, place)
    assert claims.lender("host.test:5000", ONE) == "team/app"
    assert claims.lender("host.test", ONE) is None
    assert claims.lender("host.test:5000", TWO) is None


async def test_locks_do_not_pile_up(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        s.a.add("app:1", IMAGE)
        await s.copy()
        assert s.claims._turns == {}
