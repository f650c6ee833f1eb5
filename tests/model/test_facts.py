"""Facts: what was proved once is read back as it was written, or not at all."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from puller.model.digest import Digest
from puller.model.facts import Facts
from tests.model.strategies import digests

TARSUM = "tarsum.v1+sha256:" + "ab" * 32
DIFF_ID = Digest.of(b"layer")
DIFF = str(DIFF_ID)

facts = st.builds(
    Facts,
    st.none() | digests,
    st.none() | st.integers(0, 2**63 - 1),
    st.none() | digests.map(lambda digest: f"tarsum.v1+{digest}"),
    st.none() | st.text(max_size=20),
    st.none() | st.lists(digests, max_size=3).map(tuple),
    st.booleans(),
    st.none() | st.lists(digests, max_size=3).map(tuple),
    st.none() | st.dictionaries(digests.map(lambda digest: f"tarsum.dev+{digest}"), digests, max_size=3),
)


@given(facts)
def test_what_is_written_is_read_back(known: Facts) -> None:
    assert Facts.decode(json.loads(json.dumps(known.encode()))) == known


def test_what_is_not_known_is_not_written() -> None:
    assert Facts().encode() == {}
    assert Facts(unpacked_size=0, absent=()).encode() == {"unpacked_size": 0, "absent": []}


@pytest.mark.parametrize(
    "document",
    [
        {"diff_id": 1}, {"diff_id": "x"}, {"diff_id": ""}, {"diff_id": []}, {"diff_id": "md5:" + "a" * 32},
        {"unpacked_size": -1}, {"unpacked_size": True}, {"unpacked_size": 1.0}, {"unpacked_size": "1"},
        {"tarsum": 1}, {"tarsum": ""}, {"tarsum": "sha256:" + "a" * 64}, {"tarsum": "tarsum+md5:" + "a" * 32},
        {"tarsum_refusal": 1}, {"tarsum_refusal": ["x"]},
        {"verified": 1}, {"verified": None}, {"verified": "true"},
        {"labels": []}, {"labels": {"x": DIFF}}, {"labels": {DIFF: DIFF}}, {"labels": {TARSUM: "x"}},
        {"absent": "x"}, {"absent": {}}, {"absent": [1]}, {"absent": ["x"]}, {"absent": [None]},
    ],
    ids=str,
)  # fmt: skip
def test_facts_of_another_shape_are_refused(document: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"^(facts of another shape|invalid|unknown)"):
        Facts.decode(document)


def test_keys_of_a_later_version_are_left_alone() -> None:
    assert Facts.decode({"later": 1}) == Facts()


@given(facts, facts)
def test_newer_facts_win_and_older_ones_stay_where_nothing_newer_is_known(older: Facts, newer: Facts) -> None:
    merged = older.merged(newer)
    for name in ("diff_id", "unpacked_size"):
        known = getattr(newer, name)
        assert getattr(merged, name) == (getattr(older, name) if known is None else known)
    assert merged.merged(newer) == merged


@given(facts, facts)
def test_r2_what_is_absent_only_ever_shrinks(older: Facts, newer: Facts) -> None:
    merged = older.merged(newer).absent
    if older.absent is None or newer.absent is None:
        assert merged == (older.absent if newer.absent is None else newer.absent)
    else:
        assert merged is not None
        assert set(merged) == set(older.absent) & set(newer.absent)


def test_a_tarsum_and_its_refusal_replace_one_another() -> None:
    refused = Facts(diff_id=DIFF_ID, tarsum_refusal="PAX size")
    summed = Facts(tarsum=TARSUM)
    assert refused.merged(summed) == Facts(diff_id=DIFF_ID, tarsum=TARSUM)
    assert summed.merged(refused) == refused
    assert summed.merged(Facts(unpacked_size=0)) == Facts(tarsum=TARSUM, unpacked_size=0)


def test_an_index_that_is_whole_is_not_one_of_which_nothing_is_known() -> None:
    assert Facts.decode(Facts(absent=()).encode()).absent == ()
    assert Facts.decode(Facts().encode()).absent is None
    assert Facts(absent=(DIFF_ID,)).merged(Facts(absent=())).absent == ()


@given(facts, facts)
def test_what_was_once_verified_stays_so(older: Facts, newer: Facts) -> None:
    assert older.merged(newer).verified == (older.verified or newer.verified)


@given(facts, facts)
def test_what_labels_named_is_never_forgotten_and_the_newer_word_counts(older: Facts, newer: Facts) -> None:
    merged = older.merged(newer).labels
    if older.labels is None and newer.labels is None:
        assert merged is None
    else:
        assert merged == {**(older.labels or {}), **(newer.labels or {})}


@given(facts)
def test_what_was_left_out_outlives_what_reading_has_proved(known: Facts) -> None:
    left = known.left_out()
    assert (left.absent, left.discarded, left.labels) == (known.absent, known.discarded, known.labels)
    assert (left.diff_id, left.unpacked_size, left.tarsum, left.verified) == (None, None, None, False)
