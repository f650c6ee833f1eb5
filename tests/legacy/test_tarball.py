"""What `docker save` wrote: its documents, and the order of images by their parents."""

import pytest

from puller.errors import ContentMissing, InvalidManifest, InvalidReference, LimitExceeded, PullerError
from puller.legacy.tarball import (
    MAX_DEPTH,
    Entry,
    graph_id,
    in_order,
    is_id,
    parse_image,
    parse_manifest,
    parse_repositories,
    repositories_as_docker,
)
from puller.model.digest import Digest
from puller.model.reference import Reference

A, B, C = "a" * 64, "b" * 64, "c" * 64
DIGEST = f"sha256:{'9' * 64}"


def nowhere(_: str) -> bool:
    return False


@pytest.mark.parametrize("text", ["../x", "", "a" * 63, "a" * 65, "A" * 64, "a" * 64 + "\n", "\u0661" * 64])
def test_a1_only_64_lower_case_hex_digits_are_an_id(text: str) -> None:
    assert is_id(A)
    assert not is_id(text)


def test_manifest_json_lists_configs_layers_and_names() -> None:
    raw = (
        b'[{"Config":"c.json","RepoTags":["app:1"],"Layers":["a/layer.tar"],"Parent":"x"},{"Config":"d","Layers":null}]'
    )
    assert parse_manifest(raw) == (
        Entry("c.json", ("a/layer.tar",), (Reference.parse("app:1"),)),
        Entry("d", (), ()),
    )


@pytest.mark.parametrize(
    "raw",
    [
        b"{}", b"[1]", b"[{}]", b'[{"Config":1}]', b'[{"Config":"c","Layers":{}}]', b'[{"Config":"c","Layers":[1]}]',
        b'[{"Config":"c","RepoTags":[null]}]', b"[" * 1000, b'[{"Config":"c","Config":"d"}]', b"\xff", b"",
        b'[{"Config":"c","RepoTags":["app"]}]', b'[{"Config":"c","Layers":[' + b'"x",' * 1000 + b'"x"]}]',
        b"[" + b'{"Config":"c"},' * 1000 + b'{"Config":"c"}]',
    ],
)  # fmt: skip
def test_a_manifest_json_that_breaks_its_rules_is_refused(raw: bytes) -> None:
    with pytest.raises((InvalidManifest, InvalidReference)):
        parse_manifest(raw)


def test_repositories_name_whole_ids_by_tag_or_digest() -> None:
    raw = f'{{"app":{{"1":"{A}","{DIGEST}":"{B}"}},"docker.io/library/app":{{"1":"{A}"}}}}'.encode()
    assert parse_repositories(raw) == {
        Reference.parse("app:1"): A,
        Reference.parse("app").with_digest(Digest.parse(DIGEST)): B,
    }


def test_one_name_in_two_spellings_is_for_one_image() -> None:
    with pytest.raises(InvalidManifest, match="two images"):
        parse_repositories(f'{{"app":{{"1":"{A}"}},"library/app":{{"1":"{B}"}}}}'.encode())


def test_the_original_took_repositories_as_they_came() -> None:
    raw = b'{"UPPER":{"":"abc","x":null},"r":null} trailing'
    assert repositories_as_docker(raw) == [("UPPER", "", "abc"), ("UPPER", "x", "")]
    with pytest.raises(InvalidManifest, match="unexpected EOF"):
        repositories_as_docker(b"{")
    with pytest.raises(InvalidManifest, match="cannot unmarshal number into Go value of type string"):
        repositories_as_docker(b'{"r":{"x":1}}')


@pytest.mark.parametrize(
    ("raw", "found"),
    [
        (f'{{"id":"{A}"}}', A), (f'{{"ID":"{A}"}}', None), ('{"id":"abc"}', None), ('{"id":7}', None), ("[]", None),
        (f'{{"config":{{"id":"{A}"}}}}', None), ("{}", None),
    ],
)  # fmt: skip
def test_a_config_tells_an_image_of_the_old_kind_by_its_own_id(raw: str, found: str | None) -> None:
    assert graph_id(raw.encode()) == found


def test_g4_an_image_lies_in_its_own_folder() -> None:
    raw = f'{{"id":"{A}","created":"2015-01-02T03:04:05Z"}}'.encode()
    assert parse_image(raw, A).id == A
    with pytest.raises(InvalidManifest, match="another one's folder"):
        parse_image(raw, B)


def test_images_come_behind_their_parents() -> None:
    assert in_order({C: B, B: A, A: ""}, nowhere) == [A, B, C]
    assert in_order({C: B, B: A}, lambda image: image == A) == [B, C]
    assert in_order({}, nowhere) == []


@pytest.mark.parametrize("parents", [{A: A}, {A: B, B: A}, {A: B, B: C, C: A}, {C: A, A: B, B: A}])
def test_g3_a_parent_cycle_is_refused(parents: dict[str, str]) -> None:
    with pytest.raises(InvalidManifest, match="its own ancestor"):
        in_order(parents, nowhere)


def test_g3_a_parent_that_nobody_knows_is_refused() -> None:
    with pytest.raises(ContentMissing):
        in_order({B: A}, nowhere)


@pytest.mark.parametrize("backwards", [False, True])
def test_g3_lines_of_ancestors_have_an_end(backwards: bool) -> None:
    ids = [f"{number:064x}" for number in range(100_000)]
    parents = dict(zip(ids, ["", *ids], strict=False))
    if backwards:
        parents = dict(reversed(parents.items()))
    with pytest.raises(LimitExceeded):
        in_order(parents, nowhere)
    few = {image: parents[image] for image in ids[:MAX_DEPTH]}
    assert in_order(few, nowhere) == ids[:MAX_DEPTH]


@pytest.mark.parametrize("raw", [b'{"scratch":{"latest":"%b"}}', b'{"library/scratch":{"x":"%b"}}'])
def test_the_name_of_no_image_is_reserved(raw: bytes) -> None:
    with pytest.raises(PullerError, match="reserved"):
        parse_repositories(raw % A.encode())
