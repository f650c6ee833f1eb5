"""The tree of a real image is the same as GNU tar and umoci make of it, but for what docs/unpacking.md lists."""

import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from bench.cache import Cache
from bench.layout import TAG, Image
from bench.registry import serve
from bench.unpacker import GNU_TAR
from puller.rootfs.powers import Powers
from tests.interop.conftest import SET
from tests.interop.puller import Puller
from tests.rootfs.portrait import portrait

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(not Powers.of_this_process().owners, reason="trees of an ordinary user have no owners"),
]

Facts = tuple[object, ...]
_RAM = Path("/dev/shm")


@dataclass(frozen=True, slots=True)
class Unpacked:
    """An image, our tree of it, and what there is to know of that tree."""

    image: Image
    tree: Path
    facts: dict[str, Facts]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Room for trees, in memory where that can be, gone after the last test: pytest would keep three runs of them."""
    base = _RAM if _RAM.is_dir() else tmp_path_factory.mktemp("trees")
    with TemporaryDirectory(dir=base, prefix="puller-trees-") as name:
        yield Path(name)


@pytest.fixture(scope="module", params=["small", "medium"])
def unpacked(cache: Cache, images: Mapping[str, Image], folder: Path, request: pytest.FixtureRequest) -> Unpacked:
    """A real image, and the tree that `puller unpack` makes of it."""
    name = request.param
    room = folder / name
    room.mkdir()
    puller = Puller(room / "store", room / "docker")
    with serve(cache.registry, room / "registry") as registry:
        reference = registry.name(f"{SET}/{name}")
        puller.pull(reference, "--no-unpack")
    ended = puller.run("unpack", reference, str(room / "ours"), "--quiet")
    assert ended.status == 0, ended.errors
    return Unpacked(images[name], room / "ours", portrait(room / "ours"))


def test_the_tree_of_a_real_image_is_that_of_gnu_tar(unpacked: Unpacked, folder: Path) -> None:
    theirs = folder / f"{unpacked.image.name}-tar"
    theirs.mkdir()
    for layer in unpacked.image.layers:
        program = layer.media_type.rpartition("+")[2]
        blob = str(unpacked.image.blob(layer.digest))
        listed = subprocess.run(["tar", "-t", "-I", program, "-f", blob], capture_output=True, check=True).stdout
        assert b"/.wh." not in listed, "GNU tar knows no whiteouts, so it is no oracle of this image"
        subprocess.run([*GNU_TAR, "-x", "-I", program, "-f", blob, "-C", str(theirs)], check=True)
    assert differences(unpacked, theirs) == {}


@pytest.mark.skipif(shutil.which("umoci") is None, reason="umoci is not there")
def test_the_tree_of_a_real_image_is_that_of_umoci(unpacked: Unpacked, folder: Path) -> None:
    bundle = folder / f"{unpacked.image.name}-umoci"
    command = ["umoci", "unpack", "--image", f"{unpacked.image.layout}:{TAG}", str(bundle)]
    subprocess.run(command, check=True, capture_output=True)
    assert differences(unpacked, bundle / "rootfs") == {}


def differences(ours: Unpacked, theirs: Path) -> dict[str, tuple[Facts | None, Facts | None]]:
    """The first ten paths that are not the same in both (all of them would be no message); `theirs` is used up."""
    left, right = ours.facts, portrait(theirs)
    shutil.rmtree(theirs)
    assert len(left) > 1000, "an image without files proves nothing"
    found = [path for path in sorted(left.keys() | right.keys()) if left.get(path) != right.get(path)]
    return {path: (left.get(path), right.get(path)) for path in found[:10]}
