"""Media types: what kind each is, and which may go into a header."""

import pytest

from puller.model import mediatype
from puller.model.mediatype import compression_of, is_foreign, is_index, is_layer, is_manifest, is_media_type

OCI = "application/vnd.oci.image"
DOCKER = "application/vnd.docker"


@pytest.mark.parametrize(
    ("media_type", "kind"),
    [
        (f"{OCI}.index.v1+json", "index"),
        (f"{DOCKER}.distribution.manifest.list.v2+json", "index"),
        (f"{OCI}.manifest.v1+json", "manifest"),
        (f"{DOCKER}.distribution.manifest.v2+json", "manifest"),
        (f"{DOCKER}.distribution.manifest.v1+json", "neither"),
        (f"{DOCKER}.distribution.manifest.v1+prettyjws", "neither"),
        (f"{OCI}.config.v1+json", "neither"),
        (f"{OCI}.layer.v1.tar", "layer"),
        ("application/json", "neither"),
        (f"{OCI}.index.v1+json; charset=utf-8", "neither"),
        (f"{OCI}.Index.v1+json", "neither"),
        ("", "neither"),
    ],
)
def test_every_media_type_is_of_one_kind(media_type: str, kind: str) -> None:
    found = (is_index(media_type), is_manifest(media_type), is_layer(media_type))
    assert found == (kind == "index", kind == "manifest", kind == "layer")


@pytest.mark.parametrize(
    ("media_type", "promise"),
    [
        (f"{OCI}.layer.v1.tar", "none"),
        (f"{OCI}.layer.v1.tar+gzip", "gzip"),
        (f"{OCI}.layer.v1.tar+zstd", "zstd"),
        (f"{OCI}.layer.nondistributable.v1.tar", "none"),
        (f"{OCI}.layer.nondistributable.v1.tar+gzip", "gzip"),
        (f"{OCI}.layer.nondistributable.v1.tar+zstd", "zstd"),
        (f"{DOCKER}.image.rootfs.diff.tar", None),
        (f"{DOCKER}.image.rootfs.diff.tar.gzip", None),
        (f"{DOCKER}.image.rootfs.diff.tar.zstd", None),
        (f"{DOCKER}.image.rootfs.foreign.diff.tar", None),
        (f"{DOCKER}.image.rootfs.foreign.diff.tar.gzip", None),
    ],
)
def test_d7_oci_layers_promise_their_compression_and_docker_layers_nothing(
    media_type: str, promise: str | None
) -> None:
    assert is_layer(media_type)
    assert compression_of(media_type) == promise


@pytest.mark.parametrize("media_type", [f"{OCI}.layer.v1.tar+xz", f"{OCI}.layer.v1.tar+encrypted", "text/plain"])
def test_what_is_no_layer_promises_nothing(media_type: str) -> None:
    assert not is_layer(media_type)
    assert compression_of(media_type) is None


def test_foreign_layers_are_known_by_their_whole_type() -> None:
    foreign = {t for t in vars(mediatype).values() if isinstance(t, str) and is_foreign(t)}
    assert foreign == {
        f"{OCI}.layer.nondistributable.v1.tar",
        f"{OCI}.layer.nondistributable.v1.tar+gzip",
        f"{OCI}.layer.nondistributable.v1.tar+zstd",
        f"{DOCKER}.image.rootfs.foreign.diff.tar",
        f"{DOCKER}.image.rootfs.foreign.diff.tar.gzip",
    }
    assert not is_foreign(f"{OCI}.layer.nondistributable.v1.tarball")


@pytest.mark.parametrize(
    "text",
    ["", "text", "text/", "/plain", "text/plain/x", "a b/c", "text/pl ain", "text/plain\r\nX: y", "tëxt/plain", "-a/b",
     "text/" + "x" * 128, "text/plain;", "text/plain; ", "*/*"],
)  # fmt: skip
def test_text_that_is_no_media_type_is_known(text: str) -> None:
    assert not is_media_type(text)


@pytest.mark.parametrize(
    "text", ["text/plain", "text/plain; charset=utf-8", "text/plain;a=b;c=d", "application/vnd.a-b_c+json", "A/B1!#$&^"]
)
def test_a_media_type_follows_rfc_6838(text: str) -> None:
    assert is_media_type(text)


def test_every_constant_is_a_media_type() -> None:
    constants = [value for name, value in vars(mediatype).items() if name.isupper() and isinstance(value, str)]
    assert len(constants) > 15
    assert all(map(is_media_type, (c for c in constants if "/" in c)))
