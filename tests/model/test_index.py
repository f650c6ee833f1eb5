"""Indexes: which entry a platform gets (THREATS C11), always the same one."""

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from puller.errors import Unsupported
from puller.model import mediatype
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.model.manifest import Index, parse_manifest
from puller.model.platform import Platform

ATTESTATION = "unknown/unknown"
HINT = "Choose one that is there: --platform, or `platforms` of a mirror."


def _entry(name: str, platform: str | None, media_type: str = mediatype.OCI_MANIFEST) -> Descriptor:
    stated = Platform.parse(platform) if platform else None
    return Descriptor(media_type, Digest.of(name.encode()), 8, platform=stated)


def _index(*platforms: str | None) -> Index:
    entries = [_entry(f"{i}", platform) for i, platform in enumerate(platforms)]
    document = {"schemaVersion": 2, "mediaType": mediatype.OCI_INDEX, "manifests": [e.encode() for e in entries]}
    index = parse_manifest(json.dumps(document).encode(), mediatype.OCI_INDEX)
    assert isinstance(index, Index)
    return index


def _chosen(wanted: str, *platforms: str | None) -> int:
    index = _index(*platforms)
    return index.manifests.index(index.choose(Platform.parse(wanted)))


@pytest.mark.parametrize(
    ("wanted", "there", "position"),
    [
        ("linux/arm64", ["linux/amd64", "linux/arm64", "linux/arm64"], 1),
        ("linux/amd64", ["linux/amd64/v2", "linux/amd64"], 1),
        ("linux/amd64/v2", ["linux/amd64", "linux/amd64/v2"], 1),
        ("linux/amd64/v3", ["linux/amd64", "linux/amd64/v2"], 1),
        ("linux/arm/v7", ["linux/arm/v6", "linux/arm/v8", "linux/arm/v7"], 2),
        ("linux/arm/v8", ["linux/arm/v6", "linux/arm/v7"], 1),
        ("linux/arm/v6", ["linux/arm/v7", "linux/arm/v5", "linux/arm/v6"], 2),
        ("linux/arm64/v8", ["linux/arm", "linux/arm64"], 1),
        ("windows/amd64", ["linux/amd64", "windows/amd64", "windows/amd64"], 1),
        ("linux/amd64", [ATTESTATION, "plan9/amd64", "linux/amd64"], 2),
        ("linux/amd64", [None, "linux/amd64"], 1),
    ],
)
def test_c11_the_best_entry_is_chosen_of_equals_the_first(wanted: str, there: list[str | None], position: int) -> None:
    assert _chosen(wanted, *there) == position


@pytest.mark.parametrize(
    ("wanted", "there", "named"),
    [
        ("linux/riscv64", ["linux/amd64", "linux/arm/v6"], "linux/amd64, linux/arm/v6"),
        ("linux/amd64", ["linux/amd64/v2"], "linux/amd64/v2"),
        ("linux/arm/v6", ["linux/arm"], "linux/arm"),
        ("linux/amd64", ["windows/amd64", "windows/amd64", ATTESTATION], "windows/amd64"),
        ("linux/amd64", [ATTESTATION], "none"),
        ("linux/amd64", [], "none"),
        ("linux/amd64", [None, "linux/arm64"], "linux/arm64"),
    ],
)
def test_c11_where_nothing_fits_the_error_names_what_there_is(wanted: str, there: list[str | None], named: str) -> None:
    with pytest.raises(Unsupported) as refusal:
        _chosen(wanted, *there)
    assert str(refusal.value) == f"no image for this platform, wanted {wanted}, got {named}. {HINT}"


def test_c11_without_any_platform_the_first_entry_is_meant() -> None:
    assert _chosen("linux/amd64", None, None) == 0


def test_c11_an_attestation_is_never_chosen_for_a_real_platform() -> None:
    for wanted in ("linux/amd64", "linux/unknown", "windows/amd64"):
        with pytest.raises(Unsupported):
            _chosen(wanted, ATTESTATION)


POOL = ["linux/amd64", "linux/amd64/v2", "linux/arm/v6", "linux/arm/v7", "linux/arm64", ATTESTATION]


@given(st.lists(st.sampled_from(POOL), max_size=8), st.sampled_from(POOL))
def test_c11_the_choice_is_by_rank_then_by_place_and_nothing_else(there: list[str], wanted: str) -> None:
    index = _index(*there)
    ranks = [entry.serves(Platform.parse(wanted)) for entry in map(Platform.parse, there)]
    fitting = [rank for rank in ranks if rank is not None]
    if fitting:
        assert index.manifests.index(index.choose(Platform.parse(wanted))) == ranks.index(min(fitting))
    else:
        with pytest.raises(Unsupported):
            index.choose(Platform.parse(wanted))


def test_c11_the_order_of_other_entries_does_not_matter() -> None:
    wanted = Platform.parse("linux/arm/v7")
    entries = [_entry(name, name) for name in ("linux/amd64", "linux/arm/v6", "linux/arm/v7", "linux/arm64")]
    raw = b""
    chosen = {Index(raw, mediatype.OCI_INDEX, order).choose(wanted) for order in itertools.permutations(entries)}
    assert chosen == {entries[2]}


def test_c10_an_index_may_hold_indexes_and_may_even_name_itself_a_subject() -> None:
    inner = Descriptor(mediatype.OCI_INDEX, Digest.of(b"inner"), 5)
    document = {"schemaVersion": 2, "manifests": [inner.encode()], "subject": inner.encode(), "artifactType": "text/x"}
    index = parse_manifest(json.dumps(document).encode(), mediatype.OCI_INDEX)
    assert isinstance(index, Index)
    assert index.children == (inner,)
    assert index.subject == inner
    assert index.artifact_type == "text/x"


@pytest.mark.parametrize("platform", ["linux/amd64", None])
def test_an_entry_of_unknown_media_type_is_passed_over_and_stays_a_child(platform: str | None) -> None:
    unknown = _entry("unknown", platform, "application/vnd.example.thing.v9+json")
    known = _entry("known", platform)
    index = Index(b"", mediatype.OCI_INDEX, (unknown, known))
    assert index.choose(Platform.parse("linux/amd64")) == known
    assert index.readable == (known,)
    assert index.children == (unknown, known)


def test_an_unknown_entry_with_a_platform_does_not_hide_those_without() -> None:
    unknown = _entry("unknown", "linux/amd64", "text/plain")
    known = _entry("known", None)
    assert Index(b"", mediatype.OCI_INDEX, (unknown, known)).choose(Platform.parse("linux/amd64")) == known


def test_an_index_of_unknown_entries_alone_has_no_image() -> None:
    index = Index(b"", mediatype.OCI_INDEX, (_entry("unknown", "linux/amd64", "text/plain"),))
    with pytest.raises(Unsupported, match="got none"):
        index.choose(Platform.parse("linux/amd64"))


@pytest.mark.parametrize(
    "media_type",
    [*sorted(mediatype.INDEXES | mediatype.MANIFESTS), mediatype.OCI_ARTIFACT, mediatype.OCTETS, ""],
)
def test_an_entry_of_a_known_type_or_of_none_in_particular_can_be_read(media_type: str) -> None:
    entry = _entry("0", "linux/amd64", media_type)
    assert Index(b"", mediatype.OCI_INDEX, (entry,)).readable == (entry,)


def test_an_empty_index_is_an_index() -> None:
    assert _index().children == ()


def test_an_index_is_a_value() -> None:
    assert len({_index("linux/amd64"), _index("linux/amd64")}) == 1
