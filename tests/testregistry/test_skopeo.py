"""Interoperability: skopeo, an independent client, pushes to this registry and pulls the same bytes back."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path

import pytest

from testregistry import Basic, Bearer, TestRegistry, faults, images, serve
from testregistry.auth import Auth
from tests.testregistry.asking import get

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("skopeo") is None, reason="skopeo is not installed"),
]

PLAIN = ("--insecure-policy", "copy", "--src-tls-verify=false", "--dest-tls-verify=false")
IMAGE = images.image(
    images.layer({"etc/motd": b"hello\n", "bin": images.Symlink("usr/bin")}),
    images.layer({"usr/bin/tool": images.File(b"#!/bin/sh\n" * 2000, mode=0o755)}),
    annotations={"org.example": "kept"},
)


async def skopeo(*arguments: str) -> str:
    process = await asyncio.create_subprocess_exec(
        "skopeo", *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    output, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    return output.decode()


async def pulled(registry: TestRegistry, reference: str, to: Path, *options: str) -> Path:
    await skopeo(*PLAIN, *options, f"docker://{registry.name(reference)}", f"dir:{to}")
    return to


@pytest.mark.parametrize("format_", ["oci", "docker"])
async def test_skopeo_pulls_an_image_byte_for_byte(tmp_path: Path, format_: images.Format) -> None:
    image = images.image(*IMAGE.layers, format=format_)
    async with serve() as registry:
        registry.add("team/app:1", image)
        folder = await pulled(registry, "team/app:1", tmp_path / "out")
    assert (folder / "manifest.json").read_bytes() == image.raw
    for layer in image.layers:
        assert (folder / layer.digest.removeprefix("sha256:")).read_bytes() == layer.raw


@pytest.mark.parametrize(("format_", "media_type"), [
    ("oci", "application/vnd.oci.image.manifest.v1+json"),
    ("v2s2", "application/vnd.docker.distribution.manifest.v2+json"),
    ("v2s1", "application/vnd.docker.distribution.manifest.v1+prettyjws"),
])  # fmt: skip
@pytest.mark.parametrize("on_disk", [False, True])
async def test_skopeo_pushes_in_every_format_and_pulls_it_again(
    tmp_path: Path, format_: str, media_type: str, on_disk: bool
) -> None:
    async with serve(data=tmp_path / "data" if on_disk else None) as registry:
        registry.add("source:1", images.image(*IMAGE.layers, format="docker"))
        await pulled(registry, "source:1", tmp_path / "first")
        registry.journal.clear()
        target = f"docker://{registry.name('pushed/app:1')}"
        await skopeo(*PLAIN, "--format", format_, f"dir:{tmp_path / 'first'}", target)
        root = await get(f"{registry.url}/v2/pushed/app/manifests/1")
        assert root.headers["Content-Type"] == media_type
        assert registry.journal.count(kind="upload", status=201) >= len(IMAGE.layers)
        folder = await pulled(registry, "pushed/app:1", tmp_path / "second")
    assert (folder / "manifest.json").read_bytes() == root.body
    for layer in IMAGE.layers:
        assert (folder / layer.digest.removeprefix("sha256:")).read_bytes() == layer.raw


async def test_skopeo_copies_an_index_with_all_its_platforms() -> None:
    index = images.index(images.image(*IMAGE.layers), images.image(*IMAGE.layers, platform=("linux", "arm64")))
    async with serve() as registry:
        registry.add("app:1", index)
        source, target = registry.name("app:1"), registry.name("copy:1")
        await skopeo(*PLAIN, "--all", f"docker://{source}", f"docker://{target}")
        assert (await get(f"{registry.url}/v2/copy/manifests/1")).body == index.raw


async def test_skopeo_copies_a_zstd_layer(tmp_path: Path) -> None:
    image = images.image(images.layer({"a": b"b" * 10_000}, "zstd"))
    async with serve() as registry:
        registry.add("app:1", image)
        folder = await pulled(registry, "app:1", tmp_path / "out")
    assert (folder / "manifest.json").read_bytes() == image.raw


async def test_skopeo_lists_tags_through_the_pages_and_inspects() -> None:
    async with serve() as registry:
        for tag in ("1", "2", "latest"):
            registry.add(f"app:{tag}", IMAGE)
        listed = await skopeo("list-tags", "--tls-verify=false", f"docker://{registry.name('app')}")
        inspected = await skopeo("inspect", "--tls-verify=false", f"docker://{registry.name('app:1')}")
    assert json.loads(listed)["Tags"] == ["1", "2", "latest"]
    assert json.loads(inspected)["Digest"] == IMAGE.digest


@pytest.mark.parametrize("auth", [Basic({"ann": "s3cret"}), Bearer({"ann": "s3cret"}, anonymous=set())])
async def test_skopeo_logs_in_pushes_and_pulls(tmp_path: Path, auth: Auth) -> None:
    async with serve(auth=auth) as registry:
        registry.add("app:1", IMAGE)
        await pulled(registry, "app:1", tmp_path / "out", "--src-creds", "ann:s3cret")
        target = f"docker://{registry.name('pushed:1')}"
        await skopeo(*PLAIN, "--dest-creds", "ann:s3cret", f"dir:{tmp_path / 'out'}", target)
        with pytest.raises(AssertionError, match=r"(?i)unauthorized|authentication required|denied"):
            await pulled(registry, "app:1", tmp_path / "refused", "--src-creds", "ann:wrong")


async def test_skopeo_deletes_an_image() -> None:
    async with serve() as registry:
        registry.add("app:1", IMAGE)
        await skopeo("delete", "--tls-verify=false", f"docker://{registry.name('app:1')}")
        assert (await get(f"{registry.url}/v2/app/manifests/{IMAGE.digest}")).status == 404


async def test_skopeo_notices_a_wrong_byte(tmp_path: Path) -> None:
    async with serve(faults=[faults.flip(IMAGE.layers[0].digest, at=-1, times=None)]) as registry:
        registry.add("app:1", IMAGE)
        with pytest.raises(AssertionError, match="Digest did not match"):
            await pulled(registry, "app:1", tmp_path / "out")
