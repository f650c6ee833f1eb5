"""Go's structs: corners of decoding that the recorded vectors do not reach. Those are all in test_imageid."""

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from puller.errors import InvalidManifest
from puller.legacy.gostruct import fold
from puller.legacy.v1image import V1Image


def config(raw: str) -> str:
    """The `config` that the struct prints of a text; only the fields that differ from an empty one's."""
    image = V1Image.decode(raw.encode())
    empty = V1Image.decode(b'{"config":{}}').values["config"]
    return str({key: value for key, value in image.values["config"].items() if value != empty[key]})


def fault(raw: str) -> str:
    with pytest.raises(InvalidManifest) as caught:
        V1Image.decode(raw.encode())
    return caught.value.what


def env(raw: str) -> list[str]:
    return list(V1Image.decode(raw.encode()).values["config"]["Env"].items)


def test_a_null_in_a_list_uncovers_what_the_array_held_before() -> None:
    assert env('{"config":{"Env":["a","b"],"Env":[null,"c"]}}') == ["a", "c"]
    assert env('{"config":{"Env":["a","b"],"Env":["c"],"Env":["d",null]}}') == ["d", "b"]


def test_an_empty_or_null_list_forgets_the_array() -> None:
    assert env('{"config":{"Env":["a","b"],"Env":[],"Env":[null]}}') == [""]
    assert env('{"config":{"Env":["a","b"],"Env":null,"Env":[null]}}') == [""]


def test_a_second_object_joins_the_first_and_null_begins_anew() -> None:
    assert config('{"config":{"User":"a"},"Config":{"Image":"b"}}') == "{'User': 'a', 'Image': 'b'}"
    assert config('{"config":{"User":"a"},"config":null,"config":{"Image":"b"}}') == "{'Image': 'b'}"


def test_entries_of_a_map_join_and_a_null_entry_is_the_zero_value() -> None:
    assert config('{"config":{"Labels":{"a":"1","b":"2"},"Labels":{"b":null}}}') == "{'Labels': {'a': '1', 'b': ''}}"


def test_the_first_wrong_type_is_told_and_a_time_that_fails_ends_everything() -> None:
    assert fault('{"id":1,"parent":true}') == "json: cannot unmarshal number into Go value of type string"
    assert fault('{"id":1,"created":"x"}').startswith("parsing time")


@pytest.mark.parametrize(
    ("raw", "items"),
    [("null", None), ("[]", []), ('""', [""]), ('"sh -c"', ["sh -c"]), ('["sh","-c"]', ["sh", "-c"]), ("[null]", [""])],
)
def test_a_command_is_a_list_or_one_text_as_upstream_tests_str_slice(raw: str, items: list[str] | None) -> None:
    image = V1Image.decode(f'{{"config":{{"Cmd":{raw}}}}}'.encode())
    cmd = image.values["config"]["Cmd"]
    assert (None if cmd is None else cmd.items) == items
    assert json.dumps({"Cmd": items}, separators=(",", ":")).encode()[1:-1] in image.encode()


def test_a_command_that_is_neither_list_nor_text_ends_everything() -> None:
    assert fault('{"id":1,"config":{"Cmd":{}}}') == "json: cannot unmarshal object into Go value of type string"


def test_a_syntax_error_anywhere_comes_before_any_wrong_type() -> None:
    assert fault('{"id":1,"x":}') == "invalid character '}' looking for beginning of value"


def test_a_field_that_comes_thousands_of_times_costs_no_copies() -> None:
    # Copied each time, this would be a thousand million elements and far beyond the time a test has.
    many = ",".join(['""'] * 200_000)
    again = ",".join(['"Env":[null]'] * 5_000)
    image = V1Image.decode(f'{{"config":{{"Env":[{many}],{again}}}}}'.encode())
    assert image.values["config"]["Env"].items == [""]


@pytest.mark.parametrize("number", ["9223372036854775808", "-9223372036854775809", "1.0", "1e2", "9" * 5000])
def test_a_size_is_an_int64_in_plain_digits(number: str) -> None:
    assert fault(f'{{"Size":{number}}}').startswith("json: cannot unmarshal number ")
    assert len(fault(f'{{"Size":{number}}}')) < 600


@pytest.mark.parametrize("number", [-(2**63), 2**63 - 1, 0])
def test_every_int64_is_a_size(number: int) -> None:
    assert V1Image.decode(b'{"Size":%d}' % number).size == number


@example("\u017fize")
@example("\u212aind")
@example("İÅß")
@given(st.text(max_size=4))
def test_keys_fold_by_ascii_and_two_letters_more(key: str) -> None:
    # Unicode would fold much more, and Python's lower() too: İ, Å, ß and the like stay what they are here.
    expected = "".join(c.lower() if c.isascii() else {"\u017f": "s", "\u212a": "k"}.get(c, c) for c in key)
    assert fold(key) == expected
