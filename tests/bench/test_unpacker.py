"""Everyone who unpacks does the same work: nobody wins by leaving something out."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.cache import Cache
from bench.contest import ROOT
from bench.contestant import Contestant, Task
from bench.layer import NEWEST, LayerRecipe
from bench.layout import TAG, Image, ImageRecipe, Recipe, laid_out
from bench.measure import measured
from bench.registry import serve
from bench.tool import MissingTool, require, run
from bench.unpacker import Packed, bsdtar, gnu_tar, gnu_tar_plain, packed, puller_unpack, tarfile, umoci
from tests.bench.handful import Handful

pytestmark = pytest.mark.slow  # many small tests: for `make test`


def image_of_three_layers(cache: Cache) -> Image:
    """The handful in three parts, packed as the benchmark packs."""
    layers = tuple(LayerRecipe(Handful(), part=part, parts=3) for part in range(3))
    return laid_out(cache, "test", Recipe("handful", (ImageRecipe(layers),)))


def packed_by_hand(image: Image, folder: Path) -> Packed:
    """What `packed` makes ready, but for the store, which only `puller` itself needs."""
    layers = tuple(image.blob(layer.digest) for layer in image.layers)
    tars = tuple(folder / f"{number}.tar" for number, _ in enumerate(layers))
    for layer, tar in zip(layers, tars, strict=True):
        tar.write_bytes(subprocess.run(["gzip", "-dc", str(layer)], check=True, stdout=subprocess.PIPE).stdout)
    return Packed("", folder, image.layout, layers, tars)


def tree(root: Path) -> list[tuple[str, int, int, str]]:
    """Path, mode, modification time in whole seconds, and content or target of everything below.

    Packing gives every file that is younger than `NEWEST` that time, so this does too.
    """
    found = []
    for path in sorted(root.rglob("*")):
        status = path.lstat()
        content = str(path.readlink()) if path.is_symlink() else path.read_text() if path.is_file() else ""
        found.append((str(path.relative_to(root)), status.st_mode, min(int(status.st_mtime), NEWEST), content))
    return found


@pytest.mark.parametrize(
    ("tools", "unpacker", "root"),
    [
        (["igzip"], gnu_tar, "."),
        (["tar"], gnu_tar_plain, "."),
        (["bsdtar"], bsdtar, "."),
        (["tar"], tarfile, "."),
        (["umoci"], umoci, "bundle/rootfs"),
    ],
    ids=["igzip", "plain", "bsdtar", "tarfile", "umoci"],
)
def test_the_tree_is_the_one_that_was_packed(
    tmp_path: Path, tools: list[str], unpacker: Callable[[Packed], Contestant], root: str
) -> None:
    try:
        require(*tools)
    except MissingTool as reason:
        pytest.skip(str(reason))
    if unpacker is umoci and os.geteuid() != 0:
        pytest.skip("umoci unpacks otherwise for those who own nothing")
    cache, folder = Cache(tmp_path / "cache"), tmp_path / "folder"
    image = image_of_three_layers(cache)
    folder.mkdir()
    measured(unpacker(packed_by_hand(image, tmp_path)).command(folder))
    (source,) = cache.trees.iterdir()
    assert tree(folder / root) == tree(source)


@pytest.mark.slow
def test_puller_makes_the_same_tree_of_what_was_made_ready_for_it(tmp_path: Path) -> None:
    try:
        require("docker-registry", "skopeo", "igzip")
    except MissingTool as reason:
        pytest.skip(str(reason))
    cache, folder, env = (
        Cache(tmp_path / "cache"),
        tmp_path / "folder",
        {"HOME": str(tmp_path), "PATH": os.environ["PATH"]},
    )
    image = image_of_three_layers(cache)
    folder.mkdir()
    with serve(tmp_path / "registry", tmp_path / "run") as registry:
        push = ["skopeo", "--insecure-policy", "copy", "--quiet", "--dest-tls-verify=false"]
        run([*push, f"oci:{image.layout}:{TAG}", f"docker://{registry.name('handful')}"])
        ready = packed(Task(registry, "handful", image), tmp_path / "ready", env)
    measured(puller_unpack(ready).command(folder), env=env, cwd=ROOT)
    (source,) = cache.trees.iterdir()
    assert tree(folder) == tree(source)
