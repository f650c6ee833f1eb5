"""Go's JSON: what is well-formed, what it decodes to, and every byte of what is written."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from puller.errors import InvalidManifest
from puller.legacy.gojson import (
    MAX_DEPTH,
    MAX_MEMBERS,
    Number,
    Pairs,
    compact,
    encode_object,
    first_value,
    indented,
    load,
    load_members,
)  # fmt: skip
from puller.legacy.gosyntax import syntax_error
from puller.model.gostring import quote

pytestmark = pytest.mark.slow  # many small tests: for `make test`

DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=12,
)
NEARLY_JSON = st.text(alphabet='{}[]:,"\\ \n\t019-+.eEtrufalsn/bD8\x01é', max_size=14).map(str.encode)


def sentence(raw: bytes) -> str:
    with pytest.raises(InvalidManifest) as caught:
        load(raw)
    return caught.value.what


def refusal(raw: bytes) -> str | None:
    """The sentence that `load` refuses with."""
    try:
        load(raw)
    except InvalidManifest as error:
        return error.what
    return None


@given(NEARLY_JSON, st.binary(max_size=6))
def test_the_sentences_and_the_decoder_agree_on_what_is_well_formed(text: bytes, noise: bytes) -> None:
    # Two independent readers: the one that decodes, and the one that only tells where it breaks.
    for raw in (text, noise, text + noise, b'{"a":"' + noise + b'"}', b'"' + noise + b'"'):
        assert refusal(raw) == syntax_error(raw)


@given(DOCUMENTS)
def test_an_object_is_decoded_the_same_whole_and_by_members(document: object) -> None:
    for raw in (json.dumps({"k": document}, indent=2).encode(), json.dumps({"k": document}).encode()):
        members = load_members(raw)
        tree = load(raw)
        assert members is not None
        assert isinstance(tree, Pairs)
        assert [(m.key, m.node) for m in members] == list(tree)
        assert [load(m.text) for m in members] == [value for _, value in tree]


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"{,}", "invalid character ',' looking for beginning of object key string"),
        (b'{"a":1,}', "invalid character '}' looking for beginning of object key string"),
        (b'{"a" 1}', "invalid character '1' after object key"),
        (b'{"a":1 "b"}', "invalid character '\"' after object key:value pair"),
        (b"[1,]", "invalid character ']' looking for beginning of value"),
        (b"[1 2]", "invalid character '2' after array element"),
        (b"[", "unexpected end of JSON input"),
        (b'{"a":', "unexpected end of JSON input"),
        (b'"\\', "unexpected end of JSON input"),
        (b'"\\u12', "unexpected end of JSON input"),
        (b"-", "unexpected end of JSON input"),
        (b"1.", "unexpected end of JSON input"),
        (b"1e", "unexpected end of JSON input"),
        (b"tru", "unexpected end of JSON input"),
        (b"trux", "invalid character 'x' in literal true (expecting 'e')"),
        (b"nil", "invalid character 'i' in literal null (expecting 'u')"),
        (b"fals3", "invalid character '3' in literal false (expecting 'e')"),
        (b"-x", "invalid character 'x' in numeric literal"),
        (b"01", "invalid character '1' after top-level value"),
        (b"1.e", "invalid character 'e' after decimal point in numeric literal"),
        (b"1e+x", "invalid character 'x' in exponent of numeric literal"),
        (b'"\\x"', "invalid character 'x' in string escape code"),
        (b'"\\u12g4"', "invalid character 'g' in \\u hexadecimal character escape"),
        (b'"a\nb"', "invalid character '\\n' in string literal"),
        (b"'a'", "invalid character '\\'' looking for beginning of value"),
        (b"\xef\xbb\xbf{}", "invalid character 'ï' looking for beginning of value"),
        (b"Infinity", "invalid character 'I' looking for beginning of value"),
        (b"-Infinity", "invalid character 'I' in numeric literal"),
        (b"\x80", "invalid character '\\u0080' looking for beginning of value"),
        (b"", "unexpected end of JSON input"),
    ],
)
def test_a_fault_is_told_in_the_words_of_encoding_json(raw: bytes, expected: str) -> None:
    assert sentence(raw) == expected


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b'"\\ud83d\\udc33"', "🐳"),
        (b'"\\ud83d\\u0041"', "\ufffdA"),
        (b'"\\uD83D\\uDC33\\uD83D"', "🐳\ufffd"),
        (b'"\\udc33\\ud83d"', "\ufffd\ufffd"),
        (b'"\\ud83d\\ud83d\\udc33"', "\ufffd🐳"),
        (b'"\xff\xfe"', "\ufffd\ufffd"),
        (b'"\xe2\x82"', "\ufffd\ufffd"),
        (b'"\xed\xa0\x80"', "\ufffd\ufffd\ufffd"),
        (b'"\\ud83d\xff"', "\ufffd\ufffd"),
        ('"é\\u00e9"'.encode(), "éé"),
    ],
)
def test_bytes_and_escapes_that_are_no_rune_become_one_replacement_each(raw: bytes, expected: str) -> None:
    assert load(raw) == expected
    assert load(b"[[" + raw + b"]]") == [[expected]]
    assert load(b'{"k":[' + raw + b"]}") == Pairs((("k", [expected]),))
    assert load(b"{" + raw + b":1}") == Pairs(((expected, Number("1")),))


def test_numbers_keep_their_spelling_and_objects_their_duplicates() -> None:
    assert load(b'{"a":1.50,"a":-0,"b":1E+5}') == Pairs((("a", "1.50"), ("a", "-0"), ("b", "1E+5")))
    assert isinstance(load(b"1.50"), Number)


def test_what_is_no_object_has_no_members() -> None:
    assert load_members(b" [1] ") is None
    assert load_members(b" {} ") == []


@pytest.mark.parametrize(
    "raw", [b'{"a":1}}', b'{"a":1,}', b'{"a";1}', b"{a:1}", b'{"a":1', b'{"a":NaN}', b'{"a":1}x', b"[1"]
)
def test_broken_objects_are_refused_by_members_as_by_load(raw: bytes) -> None:
    with pytest.raises(InvalidManifest) as caught:
        load_members(raw)
    assert caught.value.what == sentence(raw)


def test_members_keep_the_text_of_their_values() -> None:
    members = load_members(b' { "a" : [ 1 , 2 ] ,\n"b\\u0041": "\xff\\/" } ')
    assert members is not None
    assert [(m.key, m.text) for m in members] == [("a", b"[ 1 , 2 ]"), ("bA", b'"\xff\\/"')]


def test_c6_depth_is_bounded_before_anything_recurses() -> None:
    deepest = b"[" * MAX_DEPTH + b"]" * MAX_DEPTH
    assert load(deepest)
    for raw in (b"[" * 10**6, b"[" + deepest + b"]", b'{"a":' * 10**5 + b"1" + b"}" * 10**5):
        for read in (load, load_members, first_value):
            with pytest.raises(InvalidManifest, match="nested too deeply"):
                read(raw)


def test_c7_an_object_with_members_without_end_is_refused() -> None:
    raw = b"{" + b",".join([b'"a":1'] * (MAX_MEMBERS + 1)) + b"}"
    with pytest.raises(InvalidManifest, match="too many members"):
        load_members(raw)
    assert len(load_members(raw.replace(b'"a":1,', b"", 1)) or ()) == MAX_MEMBERS


def test_a_fault_in_a_very_long_text_is_not_looked_for() -> None:
    assert sentence(b"[" + b"1," * (1 << 19) + b"]") == "invalid JSON"


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b' { "a" : "b c" , "d":[ ] } ', b'{"a":"b c","d":[]}'),
        (b'"<\\u003C>&\\/\\u0041"', b'"\\u003c\\u003C\\u003e\\u0026\\/\\u0041"'),
        ('"\u2028\u2029"'.encode(), b'"\\u2028\\u2029"'),
        (b'{"b":1.50,"a":1E+5,"a":-0}', b'{"b":1.50,"a":1E+5,"a":-0}'),
        (b'"\xff \\" "', b'"\xff \\" "'),
        (b'"\\\\" ', b'"\\\\"'),
    ],
)
def test_a_raw_value_loses_blanks_and_keeps_its_spelling(raw: bytes, expected: bytes) -> None:
    assert compact(raw) == expected


@given(DOCUMENTS)
def test_compacting_and_laying_out_change_no_meaning(document: object) -> None:
    raw = json.dumps(document, indent=1).encode()
    assert load(compact(raw)) == load(raw) == load(indented(raw, prefix="  ", indent="\t"))
    assert compact(compact(raw)) == compact(indented(raw, indent=" ")) == compact(raw)


def test_a_layout_is_that_of_json_indent() -> None:
    laid = indented(b'{"a":[1,{"b":2}],"c":{},"d":[]}', prefix=">", indent="  ")
    assert laid == b'{\n>  "a": [\n>    1,\n>    {\n>      "b": 2\n>    }\n>  ],\n>  "c": {},\n>  "d": []\n>}'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('"\\/', b'"\\"\\\\/"'),
        ("\n\r\t", b'"\\n\\r\\t"'),
        ("\b\f\x00\x1f\x7f", b'"\\u0008\\u000c\\u0000\\u001f\x7f"'),
        ("<>&", b'"\\u003c\\u003e\\u0026"'),
        ("\u2028\u2029", b'"\\u2028\\u2029"'),
        ("é🐳\ufffd", '"é🐳\ufffd"'.encode()),
        ("\udcff", b'"\\ufffd"'),
    ],
)
def test_a_string_is_written_as_go_1_5_wrote_it(text: str, expected: bytes) -> None:
    assert quote(text) == expected


@given(st.text())
def test_what_is_written_reads_back(text: str) -> None:
    assert load(quote(text)) == text


@given(st.dictionaries(st.text(max_size=3), st.just(b"1")))
def test_keys_stand_in_the_order_of_their_bytes(items: dict[str, bytes]) -> None:
    found = load(encode_object(items))
    assert isinstance(found, Pairs)
    assert [key for key, _ in found] == sorted(items, key=lambda key: key.encode("utf-8"))


@pytest.mark.parametrize(
    ("raw", "expected"),
    [(b" [1] x", b"[1]"), (b"12 ", b"12"), (b'"\xff"{', b'"\xff"'), (b"{}{}", b"{}"), (b'"\xc3\xa9"]', b'"\xc3\xa9"')],
)
def test_of_a_stream_only_the_first_value_is_looked_at(raw: bytes, expected: bytes) -> None:
    assert first_value(raw) == expected
