"""THREATS C against whole pulls: digests, tags and configs that lie."""

from pathlib import Path

import pytest

from puller.errors import (
    DiffIDMismatch,
    DigestMismatch,
    InvalidManifest,
    ProtocolViolation,
    SizeMismatch,
)
from testregistry import Request, faults, images
from tests.ops.story import BASE, IMAGE, OTHER, TOP, blob_of, document, names_in, passed, story

LIE = "sha256:" + "0" * 64


# --- C1: the digest header -----------------------------------------------------------------------------------------


async def test_c1_a_body_that_is_not_the_pinned_one_is_refused_whatever_the_header_says(tmp_path: Path) -> None:
    async with story(tmp_path) as s:
        s.registry.add("app", IMAGE)
        s.registry.corrupt("app", IMAGE.digest, OTHER.raw)  # under the header of the pinned digest
        await s.refused(DigestMismatch, IMAGE.digest, OTHER.digest, name=f"app@{IMAGE.digest}")
        assert await s.blobs() == set()


async def test_c1_a_body_that_is_not_what_the_tag_claimed_is_refused(tmp_path: Path) -> None:
    async with story(tmp_path) as s:
        s.registry.add("app:1", IMAGE)
        s.registry.corrupt("app", IMAGE.digest, IMAGE.raw.replace(b"amd64", b"arm64") + b" ")
        await s.refused((DigestMismatch, SizeMismatch), IMAGE.digest)
        assert await s.blobs() == set()


async def test_c1_a_header_that_contradicts_the_body_is_refused(tmp_path: Path) -> None:
    lie = faults.headers(
        IMAGE.digest, method="GET", add={"Docker-Content-Digest": LIE}, remove=["Docker-Content-Digest"], times=None
    )
    async with story(tmp_path, faults=[lie]) as s:
        s.registry.add("app:1", IMAGE)
        await s.refused(DigestMismatch, IMAGE.digest)
        await s.refused(DigestMismatch, IMAGE.digest, name=f"app@{IMAGE.digest}")


async def test_c1_without_the_header_the_digest_is_computed(tmp_path: Path) -> None:
    silent = faults.headers(kind="manifest", remove=["Docker-Content-Digest"], times=None)
    async with story(tmp_path, faults=[silent]) as s:
        s.registry.add("app:1", IMAGE)
        assert (await s.pull()).digest == IMAGE.digest
        assert await s.tags() == {"app:1": IMAGE.digest}


async def test_c1_two_headers_that_differ_are_refused(tmp_path: Path) -> None:
    twice = faults.headers(kind="manifest", add={"Docker-Content-Digest": LIE}, times=None)
    async with story(tmp_path, faults=[twice]) as s:
        s.registry.add("app:1", IMAGE)
        await s.refused((ProtocolViolation, DigestMismatch), IMAGE.digest)


# --- C2, C3: tags --------------------------------------------------------------------------------------------------


async def test_c2_beside_a_digest_the_tag_is_neither_asked_for_nor_recorded(tmp_path: Path) -> None:
    async with story(tmp_path) as s:
        s.registry.add("app", IMAGE)
        s.registry.add("app:1", OTHER)
        report = await s.pull(f"app:1@{IMAGE.digest}")
        assert report.digest == IMAGE.digest
        assert await s.tags() == {f"app@{IMAGE.digest}": IMAGE.digest}
        assert s.warnings() == ["the digest decides: tag 1 was neither asked for nor moved"]
        assert "1" not in {request.reference for request in s.registry.journal}


async def test_c2_a_tag_of_the_store_stays_where_it_was(tmp_path: Path) -> None:
    async with story(tmp_path) as s:
        s.registry.add("app:1", OTHER)
        await s.pull("app:1")
        s.registry.add("app", IMAGE)
        await s.pull(f"app:1@{IMAGE.digest}")
        assert (await s.tags())["app:1"] == OTHER.digest


@pytest.mark.parametrize("head", [True, False], ids=["HEAD", "GET"])
async def test_c3_n29_a_tag_that_moves_after_every_request_gives_one_consistent_image(
    tmp_path: Path, head: bool
) -> None:
    first, second = images.index(IMAGE), images.index(OTHER)
    async with story(tmp_path, faults=[] if head else [faults.status(405, method="HEAD", times=None)]) as s:
        s.registry.add("app:1", second)
        s.registry.add("app:1", first)

        def move(request: Request) -> None:
            s.registry.tag("app:1", second.digest if len(s.registry.journal) % 2 else first.digest)

        s.registry.on_answer.append(move)
        report = await s.pull()
        held = await s.blobs()
        (own,) = (one for one in (IMAGE, OTHER) if one.digest in held)
        root = {IMAGE.digest: first, OTHER.digest: second}[own.digest]
        assert await s.tags() == {"app:1": root.digest}
        assert report.digest == root.digest
        assert held == {root.digest, own.digest, own.config.digest, *(part.digest for part in own.layers)}
        assert s.registry.journal.find(kind="manifest")[-1].reference == own.digest


# --- C12, C13: configs ---------------------------------------------------------------------------------------------

DIFF_IDS = [BASE.diff_id, TOP.diff_id]


@pytest.mark.parametrize("diff_ids", [[], DIFF_IDS[:1], [*DIFF_IDS, LIE]], ids=["none", "one less", "one more"])
async def test_c12_another_number_of_diff_ids_than_layers_is_refused_before_a_layer_is_fetched(
    tmp_path: Path, diff_ids: list[str]
) -> None:
    image = images.image(BASE, TOP, config_extra={"rootfs": {"type": "layers", "diff_ids": diff_ids}})
    async with story(tmp_path) as s:
        s.registry.add("app:1", image)
        await s.refused(InvalidManifest, BASE.digest, TOP.digest)
        assert s.registry.journal.gets(BASE.digest) == 0


@pytest.mark.parametrize(
    "diff_ids",
    [DIFF_IDS[::-1], [LIE, TOP.diff_id], [BASE.diff_id, BASE.diff_id], [BASE.digest, TOP.digest]],
    ids=["wrong order", "a lie", "twice the same", "digests of the compressed layers"],
)
async def test_c12_a_layer_that_is_not_the_one_the_config_names_never_exists(
    tmp_path: Path, diff_ids: list[str]
) -> None:
    image = images.image(BASE, TOP, config_extra={"rootfs": {"type": "layers", "diff_ids": diff_ids}})
    async with story(tmp_path) as s:
        s.registry.add("app:1", image)
        bad = [layer.digest for layer, said in zip((BASE, TOP), diff_ids, strict=True) if layer.diff_id != said]
        error = await s.refused(DiffIDMismatch, *bad)
        assert error.digest in bad


async def test_c12_a_layer_that_is_here_already_must_be_the_one_the_config_names_too(tmp_path: Path) -> None:
    lying = images.image(BASE, TOP, config_extra={"rootfs": {"type": "layers", "diff_ids": [LIE, TOP.diff_id]}})
    async with story(tmp_path) as s:
        s.registry.add("app:1", IMAGE)
        s.registry.add("app:2", lying)
        await s.pull("app:1")
        error = await s.refused(DiffIDMismatch, name="app:2")
        assert (error.digest, str(error.wanted), str(error.got)) == (BASE.digest, LIE, BASE.diff_id)
        assert BASE.digest in await s.blobs()  # it is still what its own name says


async def test_c12_one_blob_cannot_be_two_layers(tmp_path: Path) -> None:
    image = images.image(BASE, BASE, config_extra={"rootfs": {"type": "layers", "diff_ids": [BASE.diff_id, LIE]}})
    async with story(tmp_path) as s:
        s.registry.add("app:1", image)
        await s.refused(DiffIDMismatch, BASE.digest)
        assert s.registry.journal.gets(BASE.digest) == 0


async def test_c12_the_same_layer_twice_is_no_lie(tmp_path: Path) -> None:
    image = images.image(BASE, BASE)
    async with story(tmp_path) as s:
        s.registry.add("app:1", image)
        await s.pull()
        assert await s.tags() == {"app:1": image.digest}


async def test_c12_a_sha512_diff_id_is_checked_by_sha512(tmp_path: Path) -> None:
    layer = images.raw_layer(images.tar({"a": b"b"}), algorithm="sha512")
    honest, lying = images.image(layer), images.image(
        layer, config_extra={"rootfs": {"type": "layers", "diff_ids": ["sha512:" + "0" * 128]}}
    )  # fmt: skip
    async with story(tmp_path) as s:
        s.registry.add("app:1", lying)
        await s.refused(DiffIDMismatch, layer.digest)
        s.registry.add("app:1", honest)
        assert "diff_id" in passed(blob_of(await s.pull(), layer.digest))


@pytest.mark.parametrize("kind", ["layer", "LAYERS", "", None, 1])
async def test_c12_a_root_filesystem_of_another_type_is_refused(tmp_path: Path, kind: object) -> None:
    image = images.image(BASE, config_extra={"rootfs": {"type": kind, "diff_ids": [BASE.diff_id]}})
    async with story(tmp_path) as s:
        s.registry.add("app:1", image)
        await s.refused(InvalidManifest, image.config.digest, BASE.digest)


async def test_c13_another_images_config_under_this_ones_digest_is_refused(tmp_path: Path) -> None:
    async with story(tmp_path, faults=[faults.swap(IMAGE.config.digest, OTHER.config.digest, times=None)]) as s:
        s.registry.add("app", OTHER)
        s.registry.add("app:1", IMAGE)
        await s.refused((DigestMismatch, SizeMismatch), IMAGE.config.digest, OTHER.config.digest, BASE.digest)


async def test_c13_a_manifest_with_another_images_config_is_refused_by_its_diff_ids(tmp_path: Path) -> None:
    raw = document(images.image(BASE).raw, config=images.descriptor(OTHER.config))
    async with story(tmp_path) as s:
        s.add_raw(raw)
        await s.refused(DiffIDMismatch, BASE.digest)


# --- C21: what a config says is shown, never done --------------------------------------------------------------------


async def test_c21_labels_volumes_and_users_are_kept_and_never_acted_upon(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("untouched")
    wild = {
        "config": {
            "User": "../../victim",
            "Volumes": {"../../victim": {}, str(victim): {}},
            "Labels": {"containerd.io/gc.root": str(victim), "../../victim": "\x1b]52;c;b3duZWQ=\x07"},
            "Entrypoint": ["/bin/sh", "-c", f"rm {victim}"],
        }
    }
    image = images.image(BASE, config_extra=wild)
    async with story(tmp_path) as s:
        s.registry.add("app:1", image)
        await s.pull()
        assert victim.read_text() == "untouched"
        assert names_in(tmp_path) == ["store", "victim"]
        assert (tmp_path / "store" / "blobs" / image.config.digest.replace(":", "/")).read_bytes() == image.config.raw


@pytest.mark.parametrize("user", ["4294967296", "4294967295", "-1", "0:4294967296", "9" * 400])
async def test_c21_a_numeric_user_out_of_range_is_refused_and_no_name(tmp_path: Path, user: str) -> None:
    image = images.image(BASE, config_extra={"config": {"User": user}})
    async with story(tmp_path) as s:
        s.registry.add("app:1", image)
        await s.refused(InvalidManifest, image.config.digest)


async def test_c21_an_image_without_layers_is_an_image(tmp_path: Path) -> None:
    image = images.image()
    async with story(tmp_path) as s:
        s.registry.add("app:1", image)
        await s.pull()
        assert await s.blobs() == {image.digest, image.config.digest}
        assert await s.tags() == {"app:1": image.digest}
