"""THREATS A4: whatever a registry serves as a document, only errors of this package come out."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from puller.errors import PullerError
from puller.model.config import parse_config
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.model.manifest import Index, parse_manifest
from puller.model.platform import Platform
from tests.model.strategies import descriptors, hostile_values, media_types, platforms

pytestmark = pytest.mark.slow  # many small tests: together too long for `make check`

HERE = Platform.parse("linux/amd64")
WHOLE_INDEX = {"schemaVersion": 2, "manifests": [{"mediaType": "text/x", "digest": str(Digest.of(b"")), "size": 0}]}


def _read(raw: bytes, media_type: str | None) -> None:
    """Everything that is done with a document before anything else of the image is fetched."""
    try:
        parsed = parse_manifest(raw, media_type)
        for child in parsed.children:
            assert child.size is not None
            assert child.size >= 0
            json.dumps(child.encode())
        if isinstance(parsed, Index):
            parsed.choose(HERE)
    except PullerError as error:
        _shown(error)
    try:
        config = parse_config(raw)
        json.dumps([str(config.platform), config.user, dict(config.labels), list(map(str, config.chain_ids))])
    except PullerError as error:
        _shown(error)


def _shown(error: PullerError) -> None:
    assert str(error).isprintable(), "a message rewrites the terminal"
    assert len(str(error)) < 2500, "a message repeats the document"
    json.dumps(error.facts())


@given(hostile_values, st.none() | media_types)
def test_a4_any_json_is_read_or_refused(value: Any, media_type: str | None) -> None:
    _read(json.dumps(value).encode(), media_type)


@given(st.binary(max_size=60), st.none() | media_types)
def test_a4_any_bytes_are_read_or_refused(raw: bytes, media_type: str | None) -> None:
    _read(raw, media_type)


def _paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for key, child in inner for found in _paths(child, (*path, key)))]


def _replaced(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    copy = value.copy()
    copy[path[0]] = _replaced(value[path[0]], path[1:], new)
    return copy


@st.composite
def _nearly_right(draw: st.DrawFn) -> Any:
    """A good document in which one value, anywhere, was changed for another one."""
    one = draw(descriptors).encode() | {"platform": draw(platforms).encode()}
    document: dict[str, Any] = draw(
        st.sampled_from(
            [
                WHOLE_INDEX | {"manifests": [one, one], "subject": one, "annotations": {"a": "b"}},
                {"schemaVersion": 2, "config": one, "layers": [one, one], "subject": one, "artifactType": "text/x"},
                {
                    "os": "linux",
                    "architecture": "amd64",
                    "created": "",
                    "rootfs": {"type": "layers", "diff_ids": [one["digest"], one["digest"]]},
                    "history": [{"created": "", "created_by": "", "empty_layer": True}],
                    "config": {"User": "0", "Labels": {"a": "b"}},
                },
            ]
        )
    )
    return _replaced(document, draw(st.sampled_from(_paths(document))), draw(hostile_values))


@given(_nearly_right(), st.none() | media_types)
def test_a4_one_wrong_value_in_a_good_document_is_read_or_refused(document: Any, media_type: str | None) -> None:
    _read(json.dumps(document).encode(), media_type)


@given(_nearly_right(), st.data())
def test_a4_one_wrong_byte_in_a_document_is_read_or_refused(document: Any, data: st.DataObject) -> None:
    raw = json.dumps(document).encode()
    at = data.draw(st.integers(0, len(raw) - 1))
    _read(raw[:at] + data.draw(st.binary(max_size=2)) + raw[at + 1 :], None)


@given(hostile_values)
def test_a4_any_value_is_a_descriptor_or_refused(value: Any) -> None:
    with suppress(PullerError):
        Descriptor.decode(value, what="thing")


@pytest.mark.parametrize("cut", [1, 10, 50, 90])
def test_a4_a_document_cut_short_is_refused(cut: int) -> None:
    raw = json.dumps(WHOLE_INDEX).encode()
    with pytest.raises(PullerError, match="not valid JSON"):
        parse_manifest(raw[:-cut], None)
