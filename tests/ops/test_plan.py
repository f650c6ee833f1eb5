"""plan: manifest and config in, steps out."""

import pytest

from puller.errors import DiffIDMismatch, InvalidManifest
from puller.model.config import parse_config
from puller.model.digest import Digest
from puller.model.manifest import Manifest, parse_manifest
from puller.ops.pulling.plan import Image, plan
from testregistry import images
from tests.ops.story import BASE, IMAGE, OTHER, TOP


def planned(image: images.Image) -> Image:
    """An image as a pull reads it."""
    manifest = parse_manifest(image.raw, image.media_type)
    assert isinstance(manifest, Manifest)
    return Image(manifest, parse_config(image.config.raw))


def test_layers_come_base_first_each_with_its_diff_id() -> None:
    steps = plan([planned(IMAGE)])
    assert [(step.role, str(step.descriptor.digest), str(step.diff_id)) for step in steps] == [
        ("layer 1", BASE.digest, BASE.diff_id),
        ("layer 2", TOP.digest, TOP.diff_id),
    ]
    assert all(step.is_layer for step in steps)


def test_a_single_layer_needs_no_number() -> None:
    assert [step.role for step in plan([planned(OTHER)])] == ["layer"]


def test_what_two_images_share_is_one_step() -> None:
    steps = plan([planned(images.image(BASE)), planned(IMAGE), planned(images.image(TOP, BASE))])
    assert [str(step.descriptor.digest) for step in steps] == [BASE.digest, TOP.digest]


def test_no_images_need_nothing() -> None:
    assert plan([]) == ()


def test_the_blobs_of_an_artifact_are_steps_with_a_reason_why_they_are_no_layers() -> None:
    artifact = images.artifact(images.blob(b"x", "text/plain"), images.blob(b"y", "text/plain"))
    manifest = parse_manifest(artifact.raw, artifact.media_type)
    assert isinstance(manifest, Manifest)
    steps = plan([Image(manifest, None)])
    assert [step.role for step in steps] == ["config", "blob 1", "blob 2"]
    assert [step.reason for step in steps[1:]] == ["not a layer: text/plain"] * 2
    assert not any(step.is_layer for step in steps)


def test_c12_a_count_that_differs_is_refused() -> None:
    image = planned(IMAGE)
    with pytest.raises(InvalidManifest):
        plan([Image(image.manifest, planned(OTHER).config)])


def test_c12_one_blob_promised_as_two_layers_by_two_images_is_refused() -> None:
    lie = images.image(BASE, config_extra={"rootfs": {"type": "layers", "diff_ids": [TOP.diff_id]}})
    with pytest.raises(DiffIDMismatch) as caught:
        plan([planned(images.image(BASE)), planned(lie)])
    assert caught.value.digest == BASE.digest
    assert (caught.value.wanted, caught.value.got) == (Digest.parse(BASE.diff_id), Digest.parse(TOP.diff_id))
