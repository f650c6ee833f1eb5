"""The strict JSON loader: every trap of THREATS C5, C6 and C7, and its speed on long documents."""

import json
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from puller.errors import InvalidManifest
from puller.model.document import (
    MAX_BYTES,
    MAX_DEPTH,
    list_of,
    load_document,
    load_value,
    object_of,
    size_of,
    text_of,
    texts_of,
)


def _refused(raw: bytes) -> str:
    with pytest.raises(InvalidManifest) as refusal:
        load_value(raw, what="thing")
    assert str(refusal.value).startswith("thing ")
    return str(refusal.value)


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1, "a": 1}',
        '{"a": 1, "b": 2, "a": 3}',
        '{"outer": {"a": 1, "a": 2}}',
        '[{"x": [{"a": {}, "a": []}]}]',
        '{"annotations": {"org.opencontainers.image.title": "x", "org.opencontainers.image.title": "y"}}',
        r'{"digest": 1, "d\u0069gest": 2}',
        '{"": 1, "": 2}',
    ],
)
def test_c5_a_key_given_twice_is_refused(text: str) -> None:
    assert "duplicate key" in _refused(text.encode())


def test_c5_keys_that_differ_in_case_are_two_keys() -> None:
    assert load_document(b'{"Digest": 1, "digest": 2}', what="thing") == {"Digest": 1, "digest": 2}


def test_c5_the_same_key_in_two_objects_is_no_duplicate() -> None:
    assert load_value(b'[{"a": 1}, {"a": 1}]', what="thing") == [{"a": 1}, {"a": 1}]


@pytest.mark.parametrize(
    "text",
    [
        "NaN", "Infinity", "-Infinity", '{"size": NaN}', "1e400", "-1e400", '{"size": 1e309}',
        str(2**63), str(-(2**63) - 1), str(2**64), "9" * 4301, "-" + "9" * 4301, '{"size": ' + "9" * 100_000 + "}",
        "01", "+1", "1.", ".5", "0x10", "1_000", "1e", "--1",
    ],
)  # fmt: skip
def test_c6_a_number_that_is_none_or_too_large_is_refused(text: str) -> None:
    _refused(text.encode())


@pytest.mark.parametrize("number", [0, -1, 2**63 - 1, -(2**63), 1.5, 1e308])
def test_c6_a_number_of_64_bits_is_read(number: float) -> None:
    value = load_value(json.dumps(number).encode(), what="thing")
    assert value == number
    assert type(value) is type(number)


@pytest.mark.parametrize(
    "text",
    [
        r'"\ud800"', r'"\udfff"', r'"\uDC00\uD800"', r'"x\uD83D"', r'"\ud83d\ud83d\ude00"',
        r'{"\ud800": 1}', r'{"a": "\ud800"}', r'["\ud800"]', r'[["a", ["\udead"]]]', r'{"a": [{"b": ["\ud800"]}]}',
    ],
)  # fmt: skip
def test_c6_a_lone_surrogate_is_refused_wherever_it_stands(text: str) -> None:
    assert "lone surrogate" in _refused(text.encode())


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (r'"\ud83d\ude00"', "😀"),
        ('"😀"', "😀"),
        (r'"\\ud800"', "\\ud800"),
        (r'["\ud83d\ude00", "\\udc00"]', ["😀", "\\udc00"]),
    ],
)
def test_c6_a_pair_of_surrogates_and_text_that_looks_like_one_are_read(text: str, value: object) -> None:
    assert load_value(text.encode(), what="thing") == value


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-8-sig"])
def test_c6_only_utf8_without_a_mark_is_read(encoding: str) -> None:
    _refused('{"a": "+ü"}'.encode(encoding))


@pytest.mark.parametrize(
    "raw",
    [b'"\xff"', b'"\xc0\xaf"', b'"\xed\xa0\x80"', b'"\xf4\x90\x80\x80"', b'"\xe2\x82"', b'\xef\xbb\xbf{"a": 1}'],
    ids=["stray byte", "overlong", "encoded surrogate", "beyond Unicode", "cut short", "mark"],
)
def test_c6_broken_utf8_is_refused(raw: bytes) -> None:
    _refused(raw)


@pytest.mark.parametrize(
    "raw",
    [
        b"", b" ", b"{", b"[1", b'"a', b'{"a" 1}', b'{"a": 1,}', b"[1,]", b"{'a': 1}", b"{a: 1}", b"// x\n{}", b"True",
        b'{"a": 1} x', b"{}{}", b"{}\0", b"{}]", b'{"a": 1}\n{"a": 2}', b'"a\nb"', b'"a\0b"', b'"\\x41"', b'"\\u00g0"',
        b"\x1f\x8b\x08", b"[}", b"<html>",
    ],
)  # fmt: skip
def test_c6_what_is_not_one_json_value_is_refused(raw: bytes) -> None:
    assert "is not valid JSON" in _refused(raw)


def test_white_space_around_a_document_is_no_part_of_it() -> None:
    assert load_document(b' \r\n\t{"a": 1}\n', what="thing") == {"a": 1}


@pytest.mark.parametrize(("opener", "closer"), [("[", "]"), ('{"a":', "}"), ('[{"a":', "}]")])
def test_c6_nesting_ends_at_the_limit(opener: str, closer: str) -> None:
    levels = MAX_DEPTH // opener.count("[" if "[" in opener else "{") // (2 if opener == '[{"a":' else 1)
    load_value((opener * levels + "1" + closer * levels).encode(), what="thing")
    assert "too deeply" in _refused((opener * (levels + 1) + "1" + closer * (levels + 1)).encode())


@pytest.mark.parametrize("unit", ["[", '{"a":', '[{"a":', "[[],", '{"a":{},"b":', '["]",', r'["\"]",', r'["\\",'])
def test_c6_a_hundred_thousand_levels_are_refused_before_anything_recurses(unit: str) -> None:
    assert "too deeply" in _refused(unit.encode() * 100_000)


def test_c6_brackets_in_strings_neither_nest_nor_close() -> None:
    wide = ["[" * 100, "]" * 100, '"[', '\\"[', "\\", "{" * 100]
    assert load_value(json.dumps(wide).encode(), what="thing") == wide
    assert "too deeply" in _refused(b"[" * 65 + json.dumps("]" * 65).encode() + b"]" * 65)


def _depth(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max(map(_depth, value.values()), default=0)
    return 1 + max(map(_depth, value), default=0) if isinstance(value, list) else 0


_texts = st.text('[]{}"\\:,aé', max_size=6)
_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | _texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_texts, inner, max_size=4),
    max_leaves=30,
).filter(lambda value: "inf" not in repr(value))


@given(value=_values, levels=st.integers(0, 70))
def test_c6_exactly_what_is_too_deep_is_refused_and_all_else_is_read_unchanged(value: Any, levels: int) -> None:
    for level in range(levels):
        value = {'"]': [value, "]"]} if level % 3 == 0 else [value, "{", "\\"]
    raw = json.dumps(value, ensure_ascii=levels % 2 == 0).encode()
    if _depth(value) > MAX_DEPTH:
        assert "too deeply" in _refused(raw)
    else:
        assert load_value(raw, what="thing") == value


@given(st.binary(max_size=40) | st.text('{}[]",:\\u0d89ntrue1.e-+ ', max_size=40).map(str.encode))
def test_a4_bytes_that_are_noise_raise_nothing_else(raw: bytes) -> None:
    with suppress(InvalidManifest):
        load_value(raw, what="thing")


@pytest.mark.parametrize("raw", [b"[]", b"1", b'"a"', b"null", b"true"])
def test_a_document_is_an_object(raw: bytes) -> None:
    with pytest.raises(InvalidManifest, match="thing is no JSON object"):
        load_document(raw, what="thing")


def test_c7_more_than_four_megabytes_are_refused_without_being_read() -> None:
    raw = b'{"a":"' + b"x" * (MAX_BYTES - 8) + b'"}'
    assert len(raw) == MAX_BYTES
    assert len(load_document(raw, what="thing")["a"]) == MAX_BYTES - 8
    with pytest.raises(InvalidManifest, match=r"thing is too large, wanted at most 4194304 bytes, got 4194305"):
        load_document(b"\0" * (MAX_BYTES + 1), what="thing")


def test_c7_a_caller_may_set_another_limit() -> None:
    assert load_value(b"[1]", what="thing", limit=3) == [1]
    with pytest.raises(InvalidManifest, match="too large"):
        load_value(b"[11]", what="thing", limit=3)


def _seconds(work: Callable[[], object]) -> float:
    def once() -> float:
        start = time.process_time()
        work()
        return time.process_time() - start

    return min(once() for _ in range(3))


def _index(entries: int) -> bytes:
    manifests = [
        {
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "digest": f"sha256:{i:064x}",
            "size": 1000 + i,
            "annotations": {"org.opencontainers.image.ref.name": f"127.0.0.1:5000/team/app:{i}"},
            "platform": {"os": "linux", "architecture": "amd64"},
        }
        for i in range(entries)
    ]
    return json.dumps({"schemaVersion": 2, "manifests": manifests}).encode()


def test_a_long_index_costs_little_more_than_json_alone() -> None:
    raw = _index(5_000)
    strict = _seconds(lambda: load_document(raw, what="index"))
    assert strict < 6 * _seconds(lambda: json.loads(raw))


@pytest.mark.parametrize(
    "raw",
    [
        b"[" + b"[]," * 100 + b'"' + b'\\"' * 1_000_000,
        b"[" + b"[]," * 100 + b'"' + b"\\" * 2_000_000,
        b"[" + b"[]," * 100 + b'"' * 1_000_001,
        b"[" + b"[]," * 100 + b"0." + b"1" * 2_000_000 + b"e",
        b"[" + b"[]," * 100 + b"1" * 2_000_000,
    ],
    ids=["escaped quotes", "backslashes", "quotes", "decimals", "digits"],
)
def test_c6_unfinished_strings_and_endless_numbers_are_refused_in_linear_time(raw: bytes) -> None:
    assert _seconds(lambda: _refused(raw)) < 2


def test_a_text_may_be_missing_only_where_a_default_is_given() -> None:
    assert text_of({"a": "x"}, "a", what="thing") == "x"
    assert text_of({}, "a", what="thing", default="") == ""
    assert text_of({"a": None}, "a", what="thing", default="d") == "d"
    with pytest.raises(InvalidManifest, match="thing: a must be a string, got nothing"):
        text_of({}, "a", what="thing")


@pytest.mark.parametrize("value", [1, True, [], {}, 1.5])
def test_a_text_is_nothing_but_a_string(value: object) -> None:
    with pytest.raises(InvalidManifest, match="thing: a must be a string"):
        text_of({"a": value}, "a", what="thing", default="")


@pytest.mark.parametrize("size", [-1, True, False, None, 1.0, 1e3, "1", [], 2**63])
def test_c6_a_size_is_an_integer_that_is_not_negative(size: object) -> None:
    with pytest.raises(InvalidManifest, match="thing: size must be a size in bytes"):
        size_of({"size": size}, "size", what="thing")


@pytest.mark.parametrize("size", [0, 1, 2**63 - 1])
def test_c6_a_size_has_63_bits(size: int) -> None:
    assert size_of({"size": size}, "size", what="thing") == size


@pytest.mark.parametrize("read", [list_of, object_of])
def test_lists_and_objects_may_be_missing_only_where_that_is_said(read: Callable[..., object]) -> None:
    assert not read({}, "a", what="thing", default=True)
    assert not read({"a": None}, "a", what="thing", default=True)
    for document in ({}, {"a": None}, {"a": "text"}, {"a": 0}):
        with pytest.raises(InvalidManifest, match="thing: a must be"):
            read(document, "a", what="thing")
    for wrong in ({"a": ""}, {"a": 0}, {"a": False}):
        with pytest.raises(InvalidManifest, match="thing: a must be"):
            read(wrong, "a", what="thing", default=True)


def test_a_list_is_no_object_and_an_object_no_list() -> None:
    with pytest.raises(InvalidManifest, match="must be a list"):
        list_of({"a": {}}, "a", what="thing", default=True)
    with pytest.raises(InvalidManifest, match="must be an object"):
        object_of({"a": []}, "a", what="thing", default=True)


@pytest.mark.parametrize("value", [None, 1, True, [], {}])
def test_annotations_hold_strings_only(value: object) -> None:
    with pytest.raises(InvalidManifest, match=r"thing: annotations must hold strings only \(key\)"):
        texts_of({"annotations": {"key": value}}, "annotations", what="thing")


def test_a_wrong_value_is_shown_cut_short() -> None:
    with pytest.raises(InvalidManifest) as refusal:
        text_of({"a": ["x" * 1000]}, "a", what="thing")
    assert len(str(refusal.value)) < 200
