"""Locks at work: names resolved once each, told apart from what has moved, and sources that go by them."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from puller.contracts.content import Body
from puller.errors import ConnectionLost, InvalidReference, NotFound, PullerError, Unsupported
from puller.mirror.config import Config, Mirror, Place, Prune
from puller.mirror.lockfile import Lock
from puller.mirror.selection import TagRule
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.model.mediatype import OCI_MANIFEST
from puller.model.reference import Reference
from puller.ops.lock import Moved, Vouched, lock_names, locked_name, moved_since
from puller.ops.syncing.locked import locked_config

A, B = (Descriptor(OCI_MANIFEST, Digest.of(raw), 1) for raw in (b"a", b"b"))
APP = Reference.parse("registry.example/app:1")
NEWER = APP.with_tag("2")
GONE = APP.with_tag("3")


class Answers:
    """A source that names what it was told; it counts what it is asked."""

    def __init__(self, answers: dict[Reference, Descriptor | PullerError]) -> None:
        self.answers = answers
        self.asked: list[Reference] = []
        self.disowned: list[Digest] = []

    async def resolve(self, reference: Reference) -> Descriptor:
        self.asked.append(reference)
        answer = self.answers.get(reference, NotFound("no such image"))
        if isinstance(answer, PullerError):
            raise answer
        return answer

    @asynccontextmanager
    async def fetch(self, wanted: Descriptor, *, offset: int = 0) -> AsyncIterator[Body]:
        raise NotFound("nothing is fetched here", digest=wanted.digest)
        yield

    def disown(self, digest: Digest) -> bool:
        self.disowned.append(digest)
        return True


async def test_each_name_is_resolved_once_and_a_failure_stops_no_other() -> None:
    source = Answers({APP: A, NEWER: ConnectionLost("the line broke")})

    async def resolve(name: Reference) -> tuple[Reference, Descriptor]:
        return name, await source.resolve(name)

    made = await lock_names([APP, NEWER, APP], resolve)

    assert made.images == {APP: A}
    assert [(name, type(error)) for name, error in made.problems] == [(str(NEWER), ConnectionLost)]
    assert sorted(source.asked) == [APP, NEWER]


async def test_a_tag_beside_a_digest_is_not_locked() -> None:
    async def resolve(name: Reference) -> tuple[Reference, Descriptor]:
        return name, A

    made = await lock_names([APP.with_digest(A.digest)], resolve)

    assert list(made.images) == [Reference("registry.example", "app", digest=A.digest)]


async def test_what_moved_what_is_gone_and_what_could_not_be_asked_are_three_things() -> None:
    lost = APP.with_tag("4")
    pinned = Reference("registry.example", "app", digest=A.digest)
    lock = Lock({APP: A, NEWER: A, GONE: A, lost: A, pinned: A})
    source = Answers({APP: A, NEWER: B, lost: ConnectionLost("the line broke")})

    moved, asked = await moved_since(lock, lambda name: source)

    assert moved == [Moved(NEWER, A.digest, B.digest), Moved(GONE, A.digest, None)]
    assert [name for name, _ in asked.problems] == [str(lost)]
    assert pinned not in source.asked


async def test_a_token_server_that_is_gone_is_no_image_that_is_gone() -> None:
    source = Answers({APP: NotFound("no token server", phase="authentication")})

    moved, asked = await moved_since(Lock({APP: A}), lambda name: source)

    assert moved == []
    assert [name for name, _ in asked.problems] == [str(APP)]


def test_of_what_a_word_may_mean_the_first_that_is_locked_is_meant() -> None:
    lock = Lock({APP: A})

    assert locked_name([Reference.parse("docker.io/library/app:1"), APP], lock, file="puller.lock") == APP
    assert locked_name([APP.with_digest(A.digest)], lock, file="puller.lock") == APP
    with pytest.raises(InvalidReference, match="no such name"):
        locked_name([NEWER], lock, file="puller.lock")
    with pytest.raises(InvalidReference, match="another digest"):
        locked_name([Reference("registry.example", "app", "1", B.digest)], lock, file="puller.lock")


async def test_a_vouched_source_answers_for_tags_by_itself_and_asks_for_digests() -> None:
    pinned = Reference("registry.example", "app", digest=B.digest)
    source = Answers({APP: B, pinned: B})
    vouched = Vouched(source, {APP: A})

    assert await vouched.resolve(APP) == A
    assert source.asked == []
    assert await vouched.resolve(pinned) == B
    with pytest.raises(InvalidReference):
        await vouched.resolve(NEWER)


async def test_a_vouched_source_is_all_that_its_source_is_beside_that() -> None:
    source = Answers({})
    vouched = Vouched(source, {})

    assert vouched.disown(A.digest)
    assert source.disowned == [A.digest]
    with pytest.raises(Unsupported):
        vouched.labelled("tarsum.v1+sha256:00")
    with pytest.raises(NotFound):
        async with vouched.fetch(A):
            pass


def mirror(rule: TagRule, source: str = "registry.example/app") -> Mirror:
    return Mirror(Place("registry", source), Place("oci", "app"), rule, prune=Prune())


def test_age_and_number_do_not_count_again() -> None:
    rule = TagRule(allow=(re.compile("1.*"),), newest=3, newest_by="created")

    (locked,) = locked_config(Config((mirror(rule),)), Lock({APP: A}))[0].mirrors

    assert locked.tags == TagRule(allow=rule.allow)
    assert locked.prune == Prune()


def test_what_is_named_and_not_locked_is_left_out_said_and_keeps_all_from_being_pruned() -> None:
    some, none = mirror(TagRule(exact=("1", "2", str(B.digest)))), mirror(TagRule(exact=("2",)))

    config, warnings = locked_config(Config((some, none)), Lock({APP: A}))

    assert config.mirrors[0].tags.exact == ("1", str(B.digest))
    assert config.mirrors[1].tags.exact == ()
    assert not any(pattern.fullmatch("2") for pattern in config.mirrors[1].tags.allow)
    assert [one.prune for one in config.mirrors] == [None, None]
    assert warnings[:2] == ["registry.example/app:2: not in the lock file, and left out"] * 2
    assert "nothing is pruned" in warnings[2]
