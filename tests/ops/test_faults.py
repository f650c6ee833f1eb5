"""RELIABILITY §4 against whole pulls: what a line or a server does wrong, and that the image is right all the same.

Rows are run for manifest, config and layer where they can meet all three. What concerns one request alone is in
tests/registry.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from puller.errors import (
    ConnectionLost,
    DigestMismatch,
    MediaTypeMismatch,
    ProtocolViolation,
    SizeMismatch,
    Unauthorized,
    Unavailable,
)
from puller.model.event import Retrying
from puller.model.reference import Reference
from puller.registry.retry import RetryPolicy
from puller.registry.transport.patience import Patience
from testregistry import Bearer, faults, images, serve
from testregistry.cdn import serve_cdn
from testregistry.fault import Fault
from tests.ops.story import LARGE, Story, blob_of, passed, story

pytestmark = pytest.mark.slow  # many small tests: together too long for `make check`

IMAGE = images.image(LARGE)
CONTENT = {"manifest": (IMAGE.digest, IMAGE.size), "config": (IMAGE.config.digest, IMAGE.config.size)} | {
    "layer": (LARGE.digest, LARGE.size)
}
WHICH = pytest.mark.parametrize("which", CONTENT)
POINTS: dict[str, Callable[[int], int]] = {
    "nothing": lambda size: 0,
    "one byte": lambda size: 1,
    "half": lambda size: size // 2,
    "all but one": lambda size: size - 1,
    "all": lambda size: size,
}
MIDDLE = LARGE.size // 2


async def pulled_right(s: Story) -> None:
    """Pull, and hold what came to what was served."""
    s.registry.add("app:1", IMAGE)
    report = await s.pull()
    assert passed(blob_of(report, LARGE.digest)) == {"size", "digest", "diff_id", "tarsum"}
    assert await s.blobs() == {IMAGE.digest, IMAGE.config.digest, LARGE.digest}
    assert await s.tags() == {"app:1": IMAGE.digest}
    assert s.parts() == set()


@WHICH
@pytest.mark.parametrize("point", POINTS)
async def test_n1_a_line_that_closes_anywhere_is_resumed(tmp_path: Path, which: str, point: str) -> None:
    digest, size = CONTENT[which]
    at = POINTS[point](size)
    async with story(tmp_path, faults=[faults.cut(digest, after=at)]) as s:
        await pulled_right(s)
        again = [] if at == size else [f"bytes={at}-" if at else None]
        assert s.registry.journal.ranges(digest) == [None, *again]


@WHICH
@pytest.mark.parametrize("point", POINTS)
async def test_n2_a_line_that_is_reset_anywhere_is_resumed(tmp_path: Path, which: str, point: str) -> None:
    digest, size = CONTENT[which]
    async with story(tmp_path, faults=[faults.reset(digest, after=POINTS[point](size))]) as s:
        await pulled_right(s)
        assert s.registry.journal.gets(digest) <= 2


async def test_n1_many_cuts_in_one_layer_cost_each_byte_about_once(tmp_path: Path) -> None:
    every = 700_000
    async with story(tmp_path, faults=[faults.cut(LARGE.digest, after=every, times=None)]) as s:
        await pulled_right(s)
        assert s.registry.journal.bytes_sent(LARGE.digest) < 1.5 * LARGE.size


async def test_n1_a_line_that_never_gives_a_byte_ends_typed_and_keeps_what_came_before(tmp_path: Path) -> None:
    broken = [faults.cut(LARGE.digest, after=MIDDLE), faults.cut(LARGE.digest, after=0, times=None)]
    async with story(tmp_path, faults=broken) as s:
        s.registry.add("app:1", IMAGE)
        with pytest.raises(ConnectionLost):
            await s.pull()
        assert await s.tags() == {}
        assert s.parts() == {LARGE.digest}
        s.registry.faults.clear()
        report = await s.pull()
        assert blob_of(report, LARGE.digest).outcome == "resumed"


@WHICH
async def test_n5_a_body_that_stalls_for_ever_is_left_and_resumed(tmp_path: Path, which: str) -> None:
    digest, size = CONTENT[which]
    patience = Patience(stall=0.05, first_byte=0.5)
    async with story(tmp_path, faults=[faults.stall(digest, after=size // 2)], patience=patience) as s:
        await pulled_right(s)
        assert s.registry.journal.gets(digest) == 2


async def test_n8_server_errors_within_the_patience_are_waited_out(tmp_path: Path) -> None:
    async with story(tmp_path, faults=[faults.status(LARGE.digest, 503, times=4)]) as s:
        await pulled_right(s)
        assert s.registry.journal.gets(LARGE.digest) == 5
        assert s.naps == [0.5, 1.0, 2.0, 4.0]


@WHICH
async def test_n8_one_server_error_more_ends_the_pull_after_exactly_so_many_attempts(
    tmp_path: Path, which: str
) -> None:
    digest, _ = CONTENT[which]
    async with story(tmp_path, faults=[faults.status(digest, 500, method="GET", times=None)]) as s:
        s.registry.add("app:1", IMAGE)
        error = await s.refused(Unavailable, digest)
        assert s.registry.journal.gets(digest) == RetryPolicy().attempts == error.attempts
        assert len([event for event in s.events if isinstance(event, Retrying)]) == RetryPolicy().attempts - 1


async def test_n9_a_registry_that_is_unavailable_slows_no_other(tmp_path: Path) -> None:
    # There are no mirrors to fall back to: the host's own patience ends, and nobody else's.
    async with story(tmp_path) as s, serve(faults=[faults.status(503, times=None)]) as other:
        broken = Reference.parse(other.name("app:1"))
        for _ in range(3):
            with pytest.raises(Unavailable):
                await s.client.repository(broken).resolve(broken)
        waited = len(s.naps)
        await pulled_right(s)
        assert len(s.naps) == waited


@WHICH
async def test_n10_a_token_that_expires_during_the_pull_is_renewed_once(tmp_path: Path, which: str) -> None:
    digest, size = CONTENT[which]
    expired = [faults.cut(digest, after=size // 2), faults.expire_token(digest, method="GET", skip=1)]
    async with story(tmp_path, auth=Bearer(), faults=expired) as s:
        await pulled_right(s)
        assert s.registry.journal.ranges(digest)[-1] == f"bytes={size // 2}-"
        assert s.registry.journal.count(kind="token") == 2


async def test_n11_a_registry_that_refuses_for_ever_is_asked_no_more_than_needed(tmp_path: Path) -> None:
    challenge = {"WWW-Authenticate": 'Basic realm="x"'}
    async with story(tmp_path, faults=[faults.status(401, headers=challenge, times=None)]) as s:
        s.registry.add("app:1", IMAGE)
        await s.refused(Unauthorized)
        assert len(s.registry.journal) <= 2
        assert s.naps == []


async def test_n13_a_signed_url_that_dies_between_two_pieces_is_asked_for_anew(tmp_path: Path) -> None:
    async with story(tmp_path) as s, serve_cdn(s.registry) as cdn:
        s.registry.faults.append(cdn.redirect(LARGE.digest))
        cdn.faults.append(faults.cut(LARGE.digest, after=MIDDLE))
        cdn.service.on_answer.append(lambda request: cdn.expire() if len(cdn.journal) == 1 else None)
        s.registry.add("app:1", IMAGE)
        blob = blob_of(await s.pull(), LARGE.digest)
        assert passed(blob) == {"size", "digest", "diff_id", "tarsum"}
        assert blob.origin is not None
        assert blob.origin.redirect == cdn.host
        assert [request.range for request in cdn.journal if request.status in (200, 206)] == [None, f"bytes={MIDDLE}-"]
        assert "authorization" not in {name.lower() for request in cdn.journal for name in request.headers}


@pytest.mark.parametrize("kind", ["first", "total", "star", "two-headers", "multipart", "missing"])
async def test_n16_a_wrong_range_is_not_believed_and_the_whole_asked_for_once(
    tmp_path: Path, kind: faults.WrongRange
) -> None:
    wrong = [faults.cut(LARGE.digest, after=MIDDLE), faults.wrong_range(LARGE.digest, kind, times=None)]
    async with story(tmp_path, faults=wrong) as s:
        await pulled_right(s)
        assert s.registry.journal.ranges(LARGE.digest) == [None, f"bytes={MIDDLE}-", None]


async def test_n15_a_registry_that_ignores_ranges_still_gives_the_right_image(tmp_path: Path) -> None:
    deaf = [faults.cut(LARGE.digest, after=MIDDLE), faults.ignore_range(LARGE.digest, times=None)]
    async with story(tmp_path, faults=deaf) as s:
        await pulled_right(s)


async def test_n17_a_range_that_cannot_be_satisfied_leads_back_to_the_whole(tmp_path: Path) -> None:
    refusing = [faults.cut(LARGE.digest, after=MIDDLE), faults.status(LARGE.digest, 416, ranged=True, times=None)]
    async with story(tmp_path, faults=refusing) as s:
        await pulled_right(s)


@WHICH
async def test_n19_a_body_without_length_that_ends_early_is_noticed_by_its_size(tmp_path: Path, which: str) -> None:
    digest, size = CONTENT[which]
    async with story(tmp_path, faults=[faults.close_delimited(digest, cut=size // 2)]) as s:
        await pulled_right(s)
        assert s.registry.journal.gets(digest) == 2


@WHICH
@pytest.mark.parametrize("delta", [-1, 1])
async def test_n18_a_content_length_that_is_not_the_promised_size_is_refused(
    tmp_path: Path, which: str, delta: int
) -> None:
    digest, _ = CONTENT[which]
    async with story(tmp_path, faults=[faults.wrong_length(digest, delta=delta, times=None)]) as s:
        s.registry.add("app:1", IMAGE)
        await s.refused((SizeMismatch, ProtocolViolation), digest)


@WHICH
@pytest.mark.parametrize("framing", [faults.no_length, faults.close_delimited])
async def test_n20_a_body_without_length_is_taken_when_it_is_whole(
    tmp_path: Path, which: str, framing: Callable[..., Fault]
) -> None:
    digest, _ = CONTENT[which]
    async with story(tmp_path, faults=[framing(digest, method="GET")]) as s:
        await pulled_right(s)
        assert s.registry.journal.gets(digest) == 1


@WHICH
@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "gzip, gzip"])
async def test_n21_an_encoded_body_is_refused(tmp_path: Path, which: str, coding: str) -> None:
    digest, _ = CONTENT[which]
    async with story(tmp_path, faults=[faults.content_encoding(digest, coding, times=None)]) as s:
        s.registry.add("app:1", IMAGE)
        await s.refused(ProtocolViolation, digest)


@pytest.mark.parametrize("claimed", ["sha256:" + "0" * 64, LARGE.digest + "0"])
async def test_n22_a_layer_under_another_digest_header_is_refused(tmp_path: Path, claimed: str) -> None:
    lie = faults.headers(
        LARGE.digest, add={"Docker-Content-Digest": claimed}, remove=["Docker-Content-Digest"], times=None
    )
    async with story(tmp_path, faults=[lie]) as s:
        s.registry.add("app:1", IMAGE)
        await s.refused((DigestMismatch, ProtocolViolation), LARGE.digest)


@pytest.mark.parametrize(
    "served",
    ["{0}; charset=utf-8", "APPLICATION/VND.OCI.IMAGE.MANIFEST.V1+JSON", "application/octet-stream", "text/plain", ""],
)
async def test_n23_a_content_type_that_says_the_same_or_nothing_is_no_obstacle(tmp_path: Path, served: str) -> None:
    odd = faults.headers(
        kind="manifest",
        add={"Content-Type": served.format(IMAGE.media_type)} if served else {},
        remove=["Content-Type"],
        times=None,
    )
    async with story(tmp_path, faults=[odd]) as s:
        await pulled_right(s)


async def test_n23_a_content_type_of_another_kind_is_refused(tmp_path: Path) -> None:
    odd = faults.headers(
        kind="manifest",
        add={"Content-Type": "application/vnd.oci.image.index.v1+json"},
        remove=["Content-Type"],
        times=None,
    )
    async with story(tmp_path, faults=[odd]) as s:
        s.registry.add("app:1", IMAGE)
        await s.refused(MediaTypeMismatch, IMAGE.digest)


@pytest.mark.parametrize("status", [404, 405])
async def test_n24_a_registry_that_knows_no_head_is_asked_by_get(tmp_path: Path, status: int) -> None:
    async with story(tmp_path, faults=[faults.status(status, method="HEAD", times=None)]) as s:
        await pulled_right(s)
        assert s.registry.journal.count("GET", kind="manifest") == 1


@WHICH
@pytest.mark.parametrize("status", [204, 205, 226, 304])
async def test_n33_an_answer_that_is_none_is_refused(tmp_path: Path, which: str, status: int) -> None:
    digest, _ = CONTENT[which]
    async with story(tmp_path, faults=[faults.status(digest, status, method="GET", times=None)]) as s:
        s.registry.add("app:1", IMAGE)
        await s.refused(ProtocolViolation, digest)


async def test_the_report_tells_of_every_place_where_a_body_was_resumed(tmp_path: Path) -> None:
    async with story(tmp_path, faults=[faults.cut(LARGE.digest, after=MIDDLE)]) as s:
        s.registry.add("app:1", IMAGE)
        blob = blob_of(await s.pull(), LARGE.digest)
        assert blob.origin is not None
        assert (blob.origin.host, blob.origin.attempts, blob.origin.resumed_at) == (s.registry.host, 2, (MIDDLE,))
        assert (blob.outcome, blob.fetched) == ("fetched", LARGE.size)
