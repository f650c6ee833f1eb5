"""Descriptors: a promise is read whole or refused, and written as it was read."""

import json
from typing import Any

import pytest
from hypothesis import given

from puller.errors import InvalidManifest
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from tests.model.strategies import descriptors
from tests.model.test_digest import NOT_A_DIGEST

DIGEST = Digest.of(b"layer")


def _document(**changes: object) -> dict[str, Any]:
    document = {"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": str(DIGEST), "size": 5} | changes
    return {key: value for key, value in document.items() if value is not ...}


def _refused(document: object) -> str:
    with pytest.raises(InvalidManifest) as refusal:
        Descriptor.decode(document, what="thing")
    assert str(refusal.value).startswith("thing")
    return str(refusal.value)


def _fields(descriptor: Descriptor) -> list[object]:
    return [getattr(descriptor, name) for name in Descriptor.__slots__]


@given(descriptors)
def test_what_is_written_is_read_back(descriptor: Descriptor) -> None:
    document = json.loads(json.dumps(descriptor.encode()))
    assert _fields(Descriptor.decode(document, what="thing")) == _fields(descriptor)


def test_a_descriptor_is_its_type_digest_and_size_whatever_else_is_said_of_it() -> None:
    plain = Descriptor.decode(_document(), what="thing")
    told = Descriptor.decode(_document(annotations={"a": "b"}, urls=["https://x.example"]), what="thing")
    assert plain == told
    assert len({plain, told}) == 1
    assert plain != Descriptor.decode(_document(size=6), what="thing")


def test_the_keys_are_written_in_the_order_of_the_spec() -> None:
    document = _document(
        urls=["u"], annotations={"a": "b"}, artifactType="text/x", platform={"architecture": "a", "os": "b"}
    )
    assert list(Descriptor.decode(document, what="thing").encode()) == list(document)


def test_nothing_is_written_that_was_not_said() -> None:
    assert Descriptor.decode(_document(), what="thing").encode() == _document()
    assert Descriptor.decode(_document(size=0), what="thing").encode()["size"] == 0


def test_a_descriptor_of_unknown_size_cannot_be_written() -> None:
    with pytest.raises(InvalidManifest, match="without size"):
        Descriptor("text/plain", DIGEST).encode()


@pytest.mark.parametrize("text", NOT_A_DIGEST)
def test_a3_a_digest_is_checked_as_the_document_is_read(text: str) -> None:
    assert "invalid digest" in _refused(_document(digest=text))


@pytest.mark.parametrize("size", [-1, -(2**63), True, False, 1.0, 5.5, "5", None, [], {}, 2**63, ...])
def test_c6_c8_a_size_that_is_none_is_refused(size: object) -> None:
    assert "size must be a size in bytes" in _refused(_document(size=size))


@pytest.mark.parametrize("size", [0, 1, 2**62, 2**63 - 1])
def test_c7_a_huge_size_is_only_a_number(size: int) -> None:
    assert Descriptor.decode(_document(size=size), what="thing").size == size


@pytest.mark.parametrize(
    "data",
    ["bGF5ZXI=", "d3Jvbmc=", "not base64!", "A" * 100_000, None, 5],
    ids=["right", "wrong", "no", "big", "null", "5"],
)
def test_c9_inline_data_is_ignored_right_or_wrong(data: object) -> None:
    descriptor = Descriptor.decode(_document(data=data), what="thing")
    assert _fields(descriptor) == _fields(Descriptor.decode(_document(), what="thing"))
    assert "data" not in descriptor.encode()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("mediaType", ...), ("mediaType", None), ("mediaType", 1), ("mediaType", ""), ("mediaType", "text"),
        ("mediaType", "text/plain\r\nAuthorization: x"), ("mediaType", "*/*"),
        ("digest", ...), ("digest", None), ("digest", 1),
        ("annotations", []), ("annotations", {"a": 1}), ("annotations", "a"),
        ("urls", "https://x.example"), ("urls", [1]), ("urls", {}),
        ("platform", "linux/amd64"), ("platform", []), ("platform", {"os": "linux"}), ("platform", {"os": 1}),
        ("artifactType", 1),
    ],
)  # fmt: skip
def test_a_descriptor_of_the_wrong_shape_is_refused_and_the_key_is_named(key: str, value: object) -> None:
    error = _refused(_document(**{key: value}))
    assert key in error or "invalid digest" in error


@pytest.mark.parametrize("document", [None, [], "sha256:x", 1, True])
def test_what_is_no_object_is_no_descriptor(document: object) -> None:
    assert "is no descriptor" in _refused(document)


@pytest.mark.parametrize(("key", "other"), [("digest", "Digest"), ("mediaType", "mediatype"), ("size", "SIZE")])
def test_c5_a_key_in_another_case_is_unknown(key: str, other: str) -> None:
    document = _document()
    document[other] = document.pop(key)
    assert key in _refused(document)


@pytest.mark.parametrize("platform", [None, {}, {"architecture": "", "os": ""}, {"os.features": []}])
def test_an_empty_platform_is_none(platform: object) -> None:
    assert Descriptor.decode(_document(platform=platform), what="thing").platform is None


def test_a7_a_title_is_kept_as_text_and_nothing_else() -> None:
    title = {"org.opencontainers.image.title": "../../.bashrc"}
    assert Descriptor.decode(_document(annotations=title), what="thing").annotations == title
