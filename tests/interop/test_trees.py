"""The tree of a real image is the same as GNU tar and umoci make of it, but for what docs/unpacking.md lists."""

import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from bench.layout import TAG, Image
from bench.registry import Registry
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

IMAGES = ("small", "medium")
Facts = tuple[object, ...]
_RAM = Path("/dev/shm")
_FORMATS = {"gzip": "gzip", "zstd": "zstd"}


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Room for trees, gone after the test: pytest would keep the last three."""
    with TemporaryDirectory(dir=_RAM if _RAM.is_dir() else tmp_path, prefix="puller-trees-") as name:
        yield Path(name)


@pytest.fixture
def unpacked(registry: Registry, puller: Puller, folder: Path, request: pytest.FixtureRequest) -> Path:
    """The tree that `puller unpack` makes of the image whose name is the parameter."""
    reference = registry.name(f"{SET}/{request.param}")
    puller.pull(reference, "--no-unpack")
    ended = puller.run("unpack", reference, str(folder / "ours"), "--quiet")
    assert ended.status == 0, ended.errors
    return folder / "ours"


@pytest.mark.parametrize(("unpacked", "name"), [(name, name) for name in IMAGES], indirect=["unpacked"], ids=IMAGES)
def test_the_tree_of_a_real_image_is_that_of_gnu_tar(
    name: str, images: Mapping[str, Image], unpacked: Path, folder: Path
) -> None:
    theirs = folder / "theirs"
    theirs.mkdir()
    image = images[name]
    for layer in image.layers:
        program = _FORMATS[layer.media_type.rpartition("+")[2]]
        blob = image.blob(layer.digest)
        listed = subprocess.run(["tar", "-t", "-I", program, "-f", str(blob)], capture_output=True, check=True).stdout
        assert b"/.wh." not in listed, "GNU tar knows no whiteouts, so it is no oracle of this image"
        subprocess.run([*GNU_TAR, "-x", "-I", program, "-f", str(blob), "-C", str(theirs)], check=True)
    assert differences(unpacked, theirs) == {}


@pytest.mark.skipif(shutil.which("umoci") is None, reason="umoci is not there")
@pytest.mark.parametrize(("unpacked", "name"), [(name, name) for name in IMAGES], indirect=["unpacked"], ids=IMAGES)
def test_the_tree_of_a_real_image_is_that_of_umoci(
    name: str, images: Mapping[str, Image], unpacked: Path, folder: Path
) -> None:
    bundle = folder / "bundle"
    layout = images[name].layout
    subprocess.run(["umoci", "unpack", "--image", f"{layout}:{TAG}", str(bundle)], check=True, capture_output=True)
    assert differences(unpacked, bundle / "rootfs") == {}


def differences(ours: Path, theirs: Path) -> dict[str, tuple[Facts | None, Facts | None]]:
    """The first ten paths that are not the same in both; all of them at once would be no message."""
    left, right = portrait(ours), portrait(theirs)
    assert len(left) > 1000, "an image without files proves nothing"
    found = [path for path in sorted(left.keys() | right.keys()) if left.get(path) != right.get(path)]
    return {path: (left.get(path), right.get(path)) for path in found[:10]}
