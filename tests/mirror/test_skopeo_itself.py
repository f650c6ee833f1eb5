"""The same file, given to skopeo and read here: both choose the same tags and bring them to the same names."""

import asyncio
import re
import shutil
from pathlib import Path

import pytest

from puller.mirror.selection import by_name
from puller.mirror.skopeofile import destination, read_skopeo
from puller.mirror.yamlfile import load
from testregistry import images, serve

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("skopeo") is None, reason="skopeo is not installed"),
]

IMAGE = images.image(images.layer({"etc/motd": b"hello\n"}))
TAGS = (
    "1.13.1-alpine-perl",
    "1.13.2-alpine-perl",
    "1.13.3-alpine-perl",
    "11.13.1-alpine-perl",
    "1",
    "latest",
    "b-1",
    "V1",
)
FILE = r"""
{host}:
  tls-verify: false
  images:
    team/all: []
    team/some: ["1", latest, "{digest}"]
  images-by-tag-regex:
    anchored: ^1\.13\.[12]-alpine-perl$
    loose: "13"
    either: ^1|1$
    upper: (?i)^v
    classes: "[[:alpha:]]-1"
"""
REPOSITORIES = ("team/all", "team/some", "anchored", "loose", "either", "upper", "classes")


async def chosen_there(file: Path, to: str, *options: str) -> set[tuple[str, str]]:
    """What skopeo would copy: from where, to where."""
    command = ("skopeo", "sync", "--dry-run", "--src", "yaml", "--dest", "docker", *options, str(file), to)
    process = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.PIPE)
    _, said = await process.communicate()
    assert process.returncode == 0, said.decode()
    copied = re.findall(r'Would have copied.*from="docker://(\S+)" to="docker://(\S+)"', said.decode())
    return {(source, target) for source, target in copied}


def chosen_here(file: Path, to: str, *, scoped: bool) -> set[tuple[str, str]]:
    found = set()
    for mirror in read_skopeo(load(file.read_bytes(), str(file)), destination(to), scoped=scoped).mirrors:
        tags = TAGS if mirror.tags.lists else ()
        for name in (verdict.tag for verdict in by_name(tags, mirror.tags) if verdict.chosen):
            sign = "@" if ":" in name else ":"
            found.add((f"{mirror.source}{sign}{name}", f"{mirror.target}{sign}{name}"))
    return found


async def test_both_choose_the_same(tmp_path: Path) -> None:
    file = tmp_path / "sync.yml"
    async with serve() as registry:
        for repository in REPOSITORIES:
            for tag in TAGS:
                registry.add(f"{repository}:{tag}", IMAGE)
        host = registry.name("x").partition("/")[0]
        file.write_text(FILE.replace("{host}", host).replace("{digest}", IMAGE.digest))
        there = await chosen_there(file, "mirror.example/all")
    here = chosen_here(file, "mirror.example/all", scoped=False)
    assert here == there
    assert len(there) > len(TAGS) + 3


async def test_both_keep_the_whole_name_when_scoped(tmp_path: Path) -> None:
    file = tmp_path / "sync.yml"
    file.write_text("docker.io: {images: {alpine: ['1']}}\nquay.io: {images: {coreos/etcd: [v3]}}\n")
    there = {target for _, target in await chosen_there(file, "mirror.example/all/", "--scoped")}
    assert {target for _, target in chosen_here(file, "mirror.example/all/", scoped=True)} == there
    assert len(there) == 2
