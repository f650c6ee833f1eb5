"""Image configs and strong IDs, against everything that was recorded of the original."""

from typing import Any

import pytest

from puller.errors import InvalidManifest
from puller.legacy.imageid import is_fallback, make_image_config, strong_id
from puller.legacy.v1image import V1Image, v1_id, validate_id
from tests.legacy.golden import cases, fixture, from_base64, named, recorded

pytestmark = pytest.mark.slow  # many small tests: for `make test`

CASES = cases("imageconfig")
LAYER = "sha256:" + "ab" * 32


@pytest.mark.parametrize("case", CASES, ids=named)
def test_configs_ids_and_errors_are_those_recorded_of_the_original(case: dict[str, Any]) -> None:
    raw = from_base64(case["v1_b64"])
    if case["error"] is not None:
        with pytest.raises(InvalidManifest) as caught:
            make_image_config(raw, case["layer_id"], case["parent_id"])
        assert caught.value.what == case["error"]
        return
    config = make_image_config(raw, case["layer_id"], case["parent_id"])
    assert config == from_base64(case["config_b64"])
    assert strong_id(config) == case["strong_id"]


@pytest.mark.parametrize("case", CASES, ids=named)
def test_what_the_struct_takes_and_prints_is_what_was_recorded_of_the_original(case: dict[str, Any]) -> None:
    raw = from_base64(case["v1_b64"])
    if case["parse_error"] is not None:
        with pytest.raises(InvalidManifest) as caught:
            V1Image.decode(raw)
        assert caught.value.what == case["parse_error"]
        return
    image = V1Image.decode(raw)
    assert image.encode() == from_base64(case["remarshal_b64"])
    assert (image.id, image.parent) == (case["compat_id"], case["compat_parent"])
    assert (image.docker_version, is_fallback(image)) == (case["docker_version"], case["fallback"])


def test_every_recorded_outcome_occurs() -> None:
    assert {case["error"] is None for case in CASES} == {case["fallback"] for case in CASES if "fallback" in case}
    assert sum(case["error"] is None for case in CASES) == 211


@pytest.mark.parametrize("folder", ["pre1.9", "post1.9"])
def test_make_image_config_and_get_strong_id_as_upstream_tests_them(folder: str) -> None:
    def text(name: str) -> bytes:
        return fixture(f"moby/image/fixtures/{folder}/{name}").rstrip(b"\n")

    config = make_image_config(text("v1compatibility"), text("layer_id").decode(), text("parent_id").decode())
    assert config == text("expected_config")
    assert strong_id(config).encode() == text("expected_computed_id")


@pytest.mark.parametrize("case", recorded("misc")["validate_id"], ids=lambda case: repr(case["id"])[:20])
def test_an_id_is_64_lower_case_hex_digits_and_nothing_else(case: dict[str, Any]) -> None:
    if case["error"] is None:
        assert validate_id(case["id"]) == case["id"]
        return
    with pytest.raises(InvalidManifest) as caught:
        validate_id(case["id"])
    assert caught.value.what == case["error"]


def test_a_parent_id_that_the_text_brought_along_stays_without_a_parent() -> None:
    raw = b'{"docker_version":"1.9.0","parent_id":"mine"}'
    assert b'"parent_id":"mine"' in make_image_config(raw, LAYER)
    assert b"mine" not in make_image_config(raw, LAYER, "sha256:" + "cd" * 32)


def test_only_the_exact_keys_of_labels_leave_the_config() -> None:
    raw = b'{"docker_version":"1.9.0","id":"a","ID":"b","Parent":"c","size":1,"Size":2}'
    expected = b'{"ID":"b","Parent":"c","docker_version":"1.9.0","layer_id":"%b","size":1}' % LAYER.encode()
    assert make_image_config(raw, LAYER) == expected


def test_the_digest_of_a_layer_is_written_as_a_go_string() -> None:
    # A tarsum is looked for anywhere in the text, so the text may hold anything else too.
    odd = 'tarsum+sha256:ab"<\u2028'
    config = make_image_config(b'{"docker_version":"1.9.0"}', odd)
    assert b'"layer_id":"tarsum+sha256:ab\\"\\u003c\\u2028"' in config


def test_c14_the_ids_a_manifest_claims_are_not_hashed() -> None:
    one = make_image_config(b'{"docker_version":"1.9.0","id":"%b"}' % (b"a" * 64), LAYER)
    other = make_image_config(b'{"docker_version":"1.9.0","id":"%b","parent":"x"}' % (b"b" * 64), LAYER)
    assert one == other


def test_c14_layer_and_parent_are_hashed() -> None:
    raw = b'{"docker_version":"1.9.0"}'
    ids = {
        strong_id(make_image_config(raw, LAYER)),
        strong_id(make_image_config(raw, LAYER.replace("ab", "cd"))),
        strong_id(make_image_config(raw, LAYER, LAYER)),
    }
    assert len(ids) == 3


@pytest.mark.parametrize(
    ("raw", "expected"), [(b'{"ID":"a"}', "a"), (b'{"id":"a","Id":"b"}', "b"), (b"{}", ""), (b"null", "")]
)
def test_the_id_alone_is_read_in_whatever_case(raw: bytes, expected: str) -> None:
    assert v1_id(raw) == expected


def test_a_file_of_a_graph_is_read_up_to_its_first_value() -> None:
    assert V1Image.decode_stream(b' {"id":"a"} trailing').id == "a"


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        (b'{"id":"a"', "unexpected EOF"),
        (b" \n", "EOF"),
        (b"{]", "invalid character ']' looking for beginning of object key string"),
    ],
)
def test_a_file_of_a_graph_that_is_cut_or_broken_is_refused_in_the_originals_words(raw: bytes, sentence: str) -> None:
    with pytest.raises(InvalidManifest) as caught:
        V1Image.decode_stream(raw)
    assert caught.value.what == sentence


def test_only_labels_of_an_image_can_be_replaced() -> None:
    image = V1Image.decode(b'{"id":"a","os":"linux"}')
    assert image.replaced(id="b", Size=3).encode().startswith(b'{"id":"b",')
    with pytest.raises(TypeError, match="os"):
        image.replaced(os="plan9")
