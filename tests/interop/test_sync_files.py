"""One selection in a file of skopeo's and in one of regsync's: what skopeo itself brings is what puller brings by both.

The file of regsync has the form of its documentation's example (docs/examples/regsync.yml), the hosts apart.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from bench.arrival import tags_of
from bench.registry import Registry
from testregistry import TestRegistry, images
from tests.cli.serving import serving
from tests.conftest import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

BASE = images.layer({"etc/os-release": b"ID=alpine\n" * 50})
ALPINE_TAGS = ("latest", "edge", "3", "3.0", "3.1", "3.20", "3.20.1", "20240101")
WANTED = {"library/alpine": {"latest", "edge", "3", "3.1", "3.20"}, "library/busybox": {"latest"}}
SKOPEO = r"""
{host}:
  tls-verify: false
  images:
    library/busybox:
      - latest
  images-by-tag-regex:
    library/alpine: ^(latest|edge|3|3\.[1-9]\d*)$
"""
REGSYNC = r"""
x-sched-a: &sched-a "15 01 * * *"
version: 1
creds:
  - registry: {target}
    tls: disabled
  - registry: {host}
    tls: disabled
    user: "{{{{env \"MIRROR_USER\"}}}}"
    pass: "{{{{file \"{secret}\"}}}}"
defaults:
  ratelimit:
    min: 100
    retry: 15m
  parallel: 2
  backup: "bkup-{{{{.Ref.Tag}}}}"
sync:
  - source: {host}/library/busybox:latest
    target: {target}/third/busybox:latest
    type: image
    interval: 60m
  - source: {host}/library/alpine
    target: {target}/third/alpine
    type: repository
    tags:
      allow:
      - "latest"
      - "edge"
      - "3"
      - "3.\\d+"
      deny:
      - "3.0"
    schedule: *sched-a
"""


def image_of(tag: str) -> images.Index:
    """Two platforms, as the images of these names have."""
    own = images.layer({"etc/release": tag.encode()})
    return images.index(images.image(BASE, own), images.image(BASE, own, platform=("linux", "arm64")))


@pytest.fixture
def source() -> Iterator[TestRegistry]:
    """Where the images come from."""
    with serving() as registry:
        for tag in ALPINE_TAGS:
            registry.add(f"library/alpine:{tag}", image_of(tag))
        for tag in ("latest", "1.36"):
            registry.add(f"library/busybox:{tag}", image_of(f"busybox {tag}"))
        yield registry


def held(target: Registry, prefix: str) -> Mapping[str, Mapping[str, str]]:
    """Tags and digests below a prefix, by the names at the source."""
    return {name: tags_of(target, f"{prefix}/{name.rpartition('/')[2]}") for name in WANTED}


def sync(home: Path, *words: str, code: int = 0) -> str:
    """`puller sync` as a process of a user who has set nothing; what it said."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "PULLER_", "DOCKER_"))}
    settings = {"HOME": str(home), "PULLER_SETTINGS_ROOT": str(home / "root"), "MIRROR_USER": "somebody"}
    command = (sys.executable, "-m", "puller", "sync", *words, "--state", str(home / "state"))
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT, env=kept | settings)
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


def by_skopeo(file: Path, target: Registry) -> None:
    if shutil.which("skopeo") is None:
        pytest.skip("skopeo is not installed")
    words = ("sync", "--all", "--src", "yaml", "--dest", "docker", "--dest-tls-verify=false", str(file))
    command = ("skopeo", "--insecure-policy", *words, f"{target.host}/theirs")
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_both_files_bring_what_skopeo_brings_under_the_same_digests(
    source: TestRegistry, target: Registry, tmp_path: Path
) -> None:
    theirs, secret, third = tmp_path / "skopeo.yml", tmp_path / "secret", tmp_path / "regsync.yml"
    theirs.write_text(SKOPEO.format(host=source.host))
    secret.write_text("a password\n")
    third.write_text(REGSYNC.format(host=source.host, target=target.host, secret=secret))
    by_skopeo(theirs, target)

    sync(tmp_path, str(theirs), "--to", f"{target.host}/ours")
    sync(tmp_path, str(third))

    brought = held(target, "theirs")
    assert {name: set(tags) for name, tags in brought.items()} == WANTED
    assert brought["library/alpine"]["3.20"] == image_of("3.20").digest
    assert held(target, "ours") == brought
    assert held(target, "third") == brought


def test_what_skopeo_has_brought_is_not_brought_again(source: TestRegistry, target: Registry, tmp_path: Path) -> None:
    file = tmp_path / "skopeo.yml"
    file.write_text(SKOPEO.format(host=source.host))
    by_skopeo(file, target)
    source.journal.clear()

    sync(tmp_path, str(file), "--to", f"{target.host}/theirs")

    asked = [(request.method, request.kind) for request in source.journal.requests if request.kind != "ping"]
    tags = sum(len(tags) for tags in WANTED.values())
    assert sorted(asked) == [("GET", "tags"), *[("HEAD", "manifest")] * tags]


def test_a_password_in_a_file_of_regsync_is_refused_with_its_line(
    source: TestRegistry, target: Registry, tmp_path: Path
) -> None:
    file = tmp_path / "regsync.yml"
    text = REGSYNC.format(host=source.host, target=target.host, secret="unused")
    lines = ["    pass: hunter2" if "pass:" in line else line for line in text.splitlines()]
    file.write_text("\n".join(lines))

    said = sync(tmp_path, str(file), code=2)

    assert "regsync.yml:10: creds[1].pass" in said
    assert "hunter2" not in said
