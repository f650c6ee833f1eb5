"""What a pull tells while it runs, and in which order."""

from pathlib import Path

import pytest

from puller.errors import NotFound
from puller.model.event import Advanced, Failed, Planned, Pulled, Resolved, Retrying, Started, Verified
from testregistry import faults, images
from tests.ops.story import BASE, IMAGE, LARGE, TOP, story


async def test_the_plan_is_told_before_any_layer_and_the_end_comes_last(tmp_path: Path) -> None:
    async with story(tmp_path) as s:
        s.registry.add("app:1", IMAGE)
        report = await s.pull()
        kinds = [type(event) for event in s.events]
        planned = kinds.index(Planned)
        layers = {BASE.digest, TOP.digest}
        begun = [i for i, e in enumerate(s.events) if isinstance(e, Started) and str(e.descriptor.digest) in layers]
        assert kinds.index(Resolved) < planned < min(begun)
        assert s.events[-1] == Pulled(s.reference("app:1"), report)
        assert kinds.count(Pulled) == kinds.count(Planned) == kinds.count(Resolved) == 1


async def test_the_plan_names_layers_by_their_place_base_first(tmp_path: Path) -> None:
    async with story(tmp_path) as s:
        s.registry.add("app:1", IMAGE)
        await s.pull()
        (planned,) = (event for event in s.events if isinstance(event, Planned))
        told = [(role, str(descriptor.digest)) for role, descriptor in planned.steps]
        assert told == [("layer 1", BASE.digest), ("layer 2", TOP.digest)]
        assert [str(platform) for platform in planned.platforms] == ["linux/amd64"]
        assert str(planned.descriptor.digest) == IMAGE.digest


async def test_of_each_blob_the_beginning_every_step_and_the_end_are_told(tmp_path: Path) -> None:
    async with story(tmp_path) as s:
        s.registry.add("app:1", images.image(LARGE))
        await s.pull()
        own = [e for e in s.events if isinstance(e, Started | Advanced) and str(e.descriptor.digest) == LARGE.digest]
        offsets = [event.offset for event in own]
        assert isinstance(own[0], Started)
        assert not any(isinstance(event, Started) for event in own[1:])
        assert offsets == sorted(offsets)
        assert (offsets[0], offsets[-1]) == (0, LARGE.size)
        assert [e.blob.digest for e in s.events if isinstance(e, Verified)].count(LARGE.digest) == 1


async def test_a_blob_that_is_here_is_verified_without_a_beginning(tmp_path: Path) -> None:
    async with story(tmp_path) as s:
        s.registry.add("app:1", IMAGE)
        await s.pull()
        s.events.clear()
        await s.pull()
        assert not any(isinstance(event, Started | Advanced) for event in s.events)
        assert {e.blob.outcome for e in s.events if isinstance(e, Verified)} == {"reused"}


async def test_a_retry_is_told_with_its_host_reason_and_delay(tmp_path: Path) -> None:
    async with story(tmp_path, faults=[faults.status(TOP.digest, 503)]) as s:
        s.registry.add("app:1", IMAGE)
        await s.pull()
        (retrying,) = (event for event in s.events if isinstance(event, Retrying))
        assert (retrying.host, retrying.attempt) == (s.registry.host, 2)
        assert [retrying.delay] == s.naps
        assert "fails" in retrying.reason


async def test_a_failure_is_told_last_with_all_that_was_proved_before_it(tmp_path: Path) -> None:
    async with story(tmp_path, faults=[faults.status(TOP.digest, 404, times=None)]) as s:
        s.registry.add("app:1", IMAGE)
        with pytest.raises(NotFound) as caught:
            await s.pull()
        failed = s.events[-1]
        assert isinstance(failed, Failed)
        assert failed.report.error == caught.value.facts()
        assert failed.report.digest == IMAGE.digest
        assert {IMAGE.digest, IMAGE.config.digest} <= {blob.digest for blob in failed.report.blobs}
        assert TOP.digest not in {blob.digest for blob in failed.report.blobs}
        assert not any(isinstance(event, Pulled) for event in s.events)


async def test_a_listener_hears_of_one_reference_only_what_is_its_own(tmp_path: Path) -> None:
    async with story(tmp_path) as s:
        s.registry.add("one:1", images.image(BASE))
        s.registry.add("two:1", images.image(TOP))
        await s.pull("one:1")
        await s.pull("two:1")
        ends = [event.reference for event in s.events if isinstance(event, Pulled)]
        assert ends == [s.reference("one:1"), s.reference("two:1")]
