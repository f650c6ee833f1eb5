"""A listing: what others wrote comes out as it went in, and each change leaves the copy before it alone."""

import json

import pytest

from puller.errors import ContentMissing
from puller.model.descriptor import Descriptor
from puller.store.listing import Listing
from puller.store.naming import REF_NAME
from tests.contracts.sample import Blob, blob
from tests.store.plainly import entry


def raw(*entries: object, **keys: object) -> bytes:
    document = {"schemaVersion": 2, "manifests": list(entries)} | keys
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def named(wanted: Blob, name: str) -> Descriptor:
    held = wanted.descriptor
    return Descriptor(held.media_type, held.digest, held.size, {REF_NAME: name})


@pytest.mark.parametrize(
    "content",
    [
        raw(),
        raw(entry(blob(1), "ä\u2028"), entry(blob(1)), {"digest": 7, "novel": [1.5, None]}, annotations={"by": "x"}),
        b'{"a":{"manifests":[]},"schemaVersion":2,"manifests":[{}],"b":"\\n"}',
    ],
)
def test_what_is_not_changed_is_written_as_it_was(content: bytes) -> None:
    assert Listing.read(content).encode() == content


def test_an_index_without_a_list_gets_one_with_the_first_name() -> None:
    listing = Listing.read(b'{"schemaVersion":2}')
    listing.put(named(blob(1), "a"))
    assert json.loads(listing.encode())["manifests"] == [entry(blob(1), "a")]


def test_a_change_of_a_copy_is_none_of_what_it_was_made_from() -> None:
    before = Listing.read(raw(entry(blob(1), "a"), entry(blob(2), "b")))
    content, known = before.encode(), before.all()
    after = before.copy()
    after.put(named(blob(3), "a"))
    after.drop("b", blob(2).digest)
    after.list(blob(4).descriptor)
    assert (before.encode(), before.all()) == (content, known)
    assert before.named("a") == blob(1).descriptor
    assert before.about((), blob(2).digest) == (blob(2).descriptor,)
    assert after.named("b") is None
    assert after.about((), blob(2).digest) == ()
    assert [one.digest for one in after.all()[0]] == [blob(3).digest, blob(4).digest]


def test_content_that_has_lost_its_name_can_be_listed_without_one() -> None:
    listing = Listing.read(raw(entry(blob(1), "a")))
    assert not listing.list(blob(1).descriptor)
    listing.drop("a", blob(1).digest)
    assert listing.list(blob(1).descriptor)
    assert not listing.list(blob(1).descriptor)


def test_of_names_the_first_that_is_there_is_taken_with_all_that_bear_it() -> None:
    listing = Listing.read(raw(entry(blob(1), "b"), entry(blob(2), "c"), entry(blob(3), "b")))
    assert listing.take(["a", "b", "c"]) == blob(1).descriptor
    assert listing.all()[0] == (blob(2).descriptor,)
    with pytest.raises(ContentMissing):
        listing.take(["a", "b"])


def test_an_entry_that_cannot_be_read_hides_none_of_the_same_name() -> None:
    odd = entry(blob(1), "a") | {"size": "many"}
    listing = Listing.read(raw(odd, entry(blob(2), "a")))
    assert listing.named("a") == blob(2).descriptor
    assert listing.all() == ((blob(2).descriptor,), (odd,))
