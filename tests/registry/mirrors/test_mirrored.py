"""One repository at several hosts: who is asked, who is passed over, and that nothing of it fails a fetch."""

import pytest

from puller.errors import NotFound, Unauthorized, Unavailable
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.model.mediatype import OCTETS
from puller.model.reference import Reference
from puller.model.report import Origin, Passed
from puller.registry.download.width import RangePolicy
from puller.registry.retry import RetryPolicy
from testregistry import faults
from tests.registry.mirrors.several import IMAGE, LAYER, Several, hosts
from tests.registry.scene import fetched_from

WANTED = Descriptor(OCTETS, Digest.parse(LAYER.digest), len(LAYER.raw))
ROOT = Digest.parse(IMAGE.digest)


async def taken(source: Several, wanted: Descriptor = WANTED, offset: int = 0) -> tuple[bytes, Origin]:
    return await fetched_from(source, wanted, offset)


async def test_the_first_mirror_is_asked_and_nobody_else() -> None:
    async with hosts() as there:
        assert (await there.source.resolve(there.reference)).digest == ROOT
        raw, origin = await taken(there.source)

        assert raw == LAYER.raw
        assert (origin.host, origin.passed) == (there.mirror.host, ())
        assert there.registry.journal.requests == []


async def test_what_a_mirror_does_not_have_the_registry_is_asked_for_and_that_is_no_fault() -> None:
    async with hosts(filled=[False, True]) as there:
        assert (await there.source.resolve(there.reference)).digest == ROOT
        raw, origin = await taken(there.source)

        assert raw == LAYER.raw
        assert origin.host == there.registry.host
        assert [passed.host for passed in origin.passed] == [there.mirror.host]
        assert there.passed_over() == []
        await taken(there.source)
        assert there.mirror.journal.count(digest=LAYER.digest) == 2, "it is asked again next time"


async def test_the_manifest_that_came_with_the_answer_to_its_name_is_not_asked_for_again() -> None:
    async with hosts(filled=[False, True]) as there:
        pinned = there.reference.with_digest(ROOT)
        descriptor = await there.source.resolve(pinned)
        before = len(there.mirror.journal.requests) + len(there.registry.journal.requests)
        raw, origin = await taken(there.source, descriptor)

        assert raw == IMAGE.raw
        assert origin.host == there.registry.host
        assert [passed.host for passed in origin.passed] == [there.mirror.host]
        assert len(there.mirror.journal.requests) + len(there.registry.journal.requests) == before


async def test_n9_a_mirror_that_fails_is_passed_over_told_of_and_then_left_alone_for_a_while() -> None:
    async with hosts() as there:
        there.mirror.faults.append(faults.status(LAYER.digest, 503, times=None))
        raw, origin = await taken(there.source)

        assert raw == LAYER.raw
        assert origin.host == there.registry.host
        assert [(event.host, event.next_host) for event in there.passed_over()] == [
            (there.mirror.host, there.registry.host)
        ]
        asked = there.mirror.journal.count(digest=LAYER.digest)
        assert asked == 2, "a mirror has two tries"
        _, origin = await taken(there.source)
        assert there.mirror.journal.count(digest=LAYER.digest) == asked
        assert origin.passed[0].reason.startswith("distrusted: ")
        there.time.now += 60
        there.mirror.faults.clear()
        assert (await taken(there.source))[1].host == there.mirror.host


async def test_a_body_that_breaks_for_good_goes_on_at_the_next_host_where_it_was() -> None:
    async with hosts() as there:
        there.mirror.faults.append(faults.cut(LAYER.digest, after=1000))
        there.mirror.faults.append(faults.drop(LAYER.digest, skip=1, times=None))
        raw, origin = await taken(there.source)

        assert raw == LAYER.raw
        assert origin.host == there.registry.host
        assert 1000 in origin.resumed_at
        assert there.registry.journal.ranges(LAYER.digest) == ["bytes=1000-"]
        assert origin.passed[0].host == there.mirror.host


async def test_a_blob_that_comes_in_pieces_goes_on_at_the_next_host_as_well() -> None:
    pieces = RangePolicy(window=64 << 10, piece=8 << 10, least=1, share=1)
    async with hosts(ranges=pieces) as there:
        there.mirror.faults.append(faults.cut(LAYER.digest, after=20_000))
        there.mirror.faults.append(faults.drop(LAYER.digest, skip=1, times=None))
        raw, origin = await taken(there.source)

        assert raw == LAYER.raw
        assert origin.host == there.registry.host
        assert origin.passed[0].host == there.mirror.host
        assert (await taken(there.source))[0] == LAYER.raw


async def test_a_mirror_that_stalls_in_the_middle_costs_two_stalls_and_no_more() -> None:
    async with hosts() as there:
        there.mirror.faults.append(faults.stall(LAYER.digest, after=2000, times=None))
        raw, origin = await taken(there.source)

        assert raw == LAYER.raw
        assert origin.host == there.registry.host
        assert there.mirror.journal.count(digest=LAYER.digest) <= 3


async def test_an_offset_is_kept_wherever_the_body_comes_from() -> None:
    async with hosts() as there:
        there.mirror.faults.append(faults.status(LAYER.digest, 500, times=None))
        raw, _ = await taken(there.source, offset=300)

        assert raw == LAYER.raw[300:]


async def test_who_served_wrong_bytes_is_not_asked_for_them_again_nor_for_anything_for_a_while() -> None:
    async with hosts() as there:
        there.mirror.faults.append(faults.flip(LAYER.digest, at=5, times=None))
        raw, _ = await taken(there.source)
        assert raw != LAYER.raw
        assert there.source.disown(WANTED.digest)
        raw, origin = await taken(there.source)

        assert raw == LAYER.raw
        assert origin.passed == (Passed(there.mirror.host, "served wrong bytes"),)
        await there.source.resolve(there.reference)
        assert there.mirror.journal.count(digest=IMAGE.digest) == 0
        assert not there.source.disown(WANTED.digest), "and the registry was right"


async def test_when_all_have_served_it_wrong_nobody_is_left() -> None:
    async with hosts() as there:
        assert not there.source.disown(WANTED.digest), "nobody has served it yet"
        await taken(there.source)
        assert there.source.disown(WANTED.digest)
        await taken(there.source)
        assert not there.source.disown(WANTED.digest)


async def test_of_two_who_gave_parts_of_wrong_bytes_the_mirror_is_held_to_have_done_it() -> None:
    async with hosts() as there:
        there.mirror.faults.append(faults.flip(LAYER.digest, at=5, times=None))
        there.mirror.faults.append(faults.cut(LAYER.digest, after=1000))
        there.mirror.faults.append(faults.drop(LAYER.digest, skip=1, times=None))
        raw, _ = await taken(there.source)
        assert raw != LAYER.raw
        assert there.source.disown(WANTED.digest)

        assert (await taken(there.source))[0] == LAYER.raw


async def test_a_mirror_that_names_other_content_than_was_pinned_is_passed_over() -> None:
    async with hosts() as there:
        there.mirror.faults.append(faults.body(IMAGE.digest, b"{}", times=None))
        descriptor = await there.source.resolve(there.reference.with_digest(ROOT))

        assert descriptor.digest == ROOT
        assert there.passed_over()[0].host == there.mirror.host


async def test_a_mirror_for_digests_only_is_not_asked_what_a_tag_names() -> None:
    async with hosts(endpoints=[{"resolves": False}]) as there:
        await there.source.resolve(there.reference)
        assert there.mirror.journal.requests == []
        assert (await taken(there.source))[1].host == there.mirror.host
        await there.source.resolve(there.reference.with_digest(ROOT))

        assert there.mirror.journal.count(digest=IMAGE.digest) == 1


async def test_a_host_that_only_resolves_is_not_asked_for_content() -> None:
    async with hosts(endpoints=[{"fetches": False}]) as there:
        descriptor = await there.source.resolve(there.reference)
        assert there.registry.journal.requests == []

        assert (await taken(there.source, descriptor))[1].host == there.registry.host
        assert (await taken(there.source))[1].host == there.registry.host


@pytest.mark.parametrize("code", [401, 403])
async def test_a_mirror_that_does_not_let_us_in_is_not_asked_again_for_this_image(code: int) -> None:
    async with hosts() as there:
        there.mirror.faults.append(faults.status(None, code, times=None))
        await there.source.resolve(there.reference)
        asked = len(there.mirror.journal.requests)
        raw, origin = await taken(there.source)

        assert raw == LAYER.raw
        assert len(there.mirror.journal.requests) == asked
        assert origin.passed == (Passed(there.mirror.host, "refused before"),)


async def test_a_dead_mirror_is_passed_over() -> None:
    async with hosts(endpoints=[{"registry": "127.0.0.1:1"}]) as there:
        await there.source.resolve(there.reference)
        raw, origin = await taken(there.source)

        assert raw == LAYER.raw
        assert origin.passed == (Passed("127.0.0.1:1", "distrusted: cannot connect"),)
        assert there.time.slept, "it was tried twice"
        assert len(there.time.slept) == 1


async def test_several_mirrors_are_asked_in_their_order() -> None:
    async with hosts(3, filled=[False, True, True]) as there:
        raw, origin = await taken(there.source)

        assert raw == LAYER.raw
        assert origin.host == there.registries[1].host
        assert there.registry.journal.requests == []


async def test_when_all_fail_the_error_is_that_of_the_registry_and_says_what_the_others_said() -> None:
    async with hosts(3, filled=[False, False, False]) as there:
        there.registries[1].faults.append(faults.status(None, 500, times=None))
        with pytest.raises(NotFound) as caught:
            await there.source.resolve(there.reference)

        assert caught.value.host == there.registry.host
        notes = caught.value.facts()["notes"]
        assert isinstance(notes, list)
        assert [note.partition(": ")[0] for note in notes] == [one.host for one in there.registries[:2]]


async def test_where_the_registry_cannot_be_had_a_slow_mirror_is_asked_again_with_all_patience() -> None:
    retries = RetryPolicy(attempts=6)
    async with hosts(endpoints=[{}, {"registry": "127.0.0.1:1"}], retries=retries) as there:
        there.mirror.faults.append(faults.status(LAYER.digest, 503, times=4))
        raw, origin = await taken(there.source)

        assert raw == LAYER.raw
        assert origin.host == there.mirror.host
        assert there.mirror.journal.count(digest=LAYER.digest) == 5


async def test_where_the_registry_says_that_there_is_no_such_thing_nobody_is_asked_again() -> None:
    async with hosts(filled=[True, False]) as there:
        there.mirror.faults.append(faults.status(LAYER.digest, 503, times=None))
        with pytest.raises(NotFound):
            await taken(there.source)

        assert there.mirror.journal.count(digest=LAYER.digest) == 2


async def test_the_errors_of_those_who_take_a_body_are_no_fault_of_its_host() -> None:
    async with hosts() as there:

        async def interrupted() -> None:
            async with there.source.fetch(WANTED) as body:
                async for _ in body:
                    raise RuntimeError("disk")

        with pytest.raises(RuntimeError, match="disk"):
            await interrupted()
        assert (await taken(there.source))[1].host == there.mirror.host


async def test_a_mirror_has_its_own_name_for_a_repository() -> None:
    async with hosts(filled=[False, True], endpoints=[{"repository": "cache/app"}]) as there:
        there.mirror.add("cache/app:1", IMAGE)
        assert (await there.source.resolve(there.reference)).digest == ROOT

        assert (await taken(there.source))[1].host == there.mirror.host


async def test_a_mirror_is_told_whom_it_stands_for_where_that_is_set_up() -> None:
    async with hosts(endpoints=[{"namespace": "registry.example:5000"}]) as there:
        await there.source.resolve(there.reference)
        await taken(there.source)

        assert {request.query for request in there.mirror.journal.requests} == {"ns=registry.example%3A5000"}


async def test_another_repository_is_refused_by_all() -> None:
    async with hosts() as there:
        other = Reference.parse(f"{there.registry.host}/other:1")
        with pytest.raises(Exception, match="another repository"):
            await there.source.resolve(other)

        assert there.registry.journal.requests == []


async def test_layers_that_have_only_a_label_are_asked_of_the_registry_first() -> None:
    label = "tarsum+sha256:" + "0" * 64
    async with hosts() as there:
        for registry in there.registries:
            registry.add_blob_as("app", label, LAYER.raw)
        async with there.source.labelled(label) as body:
            received = b"".join([bytes(chunk) async for chunk in body])
            assert body.origin.host == there.registry.host
        assert received == LAYER.raw
        there.registry.faults.append(faults.status(None, 404, times=None))
        async with there.source.labelled(label) as body:
            assert body.origin.host == there.mirror.host


async def test_unauthorized_at_the_registry_is_what_is_said_where_the_mirror_fails() -> None:
    async with hosts() as there:
        there.mirror.faults.append(faults.status(None, 500, times=None))
        there.registry.faults.append(faults.status(None, 401, times=None))
        with pytest.raises(Unauthorized):
            await there.source.resolve(there.reference)
        with pytest.raises((Unauthorized, Unavailable)):
            await taken(there.source)
