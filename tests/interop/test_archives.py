"""Archives between puller, a real docker daemon and skopeo: what one writes the others read, under the right IDs."""

import hashlib
import json
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.registry import Registry, serve
from bench.tool import require, run
from testregistry import images
from tests.archive.building import packed
from tests.interop.daemon import Daemon, daemon
from tests.interop.puller import Puller
from tests.tools import skipping_without_tools

__all__ = ["daemon"]

pytestmark = pytest.mark.slow

BASE = images.tar({"etc/motd": b"hello\n" * 100, "bin/sh": b"#!\n"})
TOP = images.tar({"srv/app": b"app\n", "etc/motd": b"changed\n"})
EMPTY = bytes(1024)
RUN = {"created": "2020-02-03T04:05:06.789Z", "created_by": "RUN x & <y>"}
TOOLS = ("skopeo", "docker-registry")


@pytest.fixture(autouse=True)
def _tools() -> None:
    with skipping_without_tools():
        require(*TOOLS)


@pytest.fixture
def old_registry(tmp_path: Path) -> Iterator[Registry]:
    """An empty registry that takes schema 1."""
    with serve(tmp_path / "registry-data", tmp_path / "registry") as running:
        yield running


def config(*layers: bytes, **more: Any) -> bytes:
    """The config of an image of these uncompressed layers, with members that Docker's struct knows and does not."""
    document = {
        "architecture": "arm",
        "variant": "v7",
        "os": "linux",
        "author": "A <a@b>",
        "created": "2020-02-03T04:05:06.789Z",
        "config": {"Env": ["A=\ttab", "B=é"], "Cmd": ["sh"], "Labels": {"b": "2", "a": "1"}, "Shell": ["sh", "-c"],
                   "Healthcheck": {"Test": ["CMD", "x"], "Retries": 3}, "StopTimeout": 5, "Unknown": 1},
        "history": [RUN for _ in layers],
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}" for layer in layers]},
        "unknown": {"kept": 1.50},
    }  # fmt: skip
    return json.dumps(document | more, ensure_ascii=False).encode()


def docker_archive(path: Path, *contents: tuple[str, bytes, tuple[bytes, ...]]) -> Path:
    """What `docker save` of 1.10 made, as far as readers of today look: (name, config, layers) each."""
    parts: list[tuple[str, Any]] = []
    entries = []
    for name, raw, layers in contents:
        files = {f"{hashlib.sha256(layer).hexdigest()}/layer.tar": layer for layer in layers}
        parts += [part for part in files.items() if part not in parts]
        parts.append((f"{hashlib.sha256(raw).hexdigest()}.json", raw))
        paths = [f"{hashlib.sha256(layer).hexdigest()}/layer.tar" for layer in layers]
        entries.append({"Config": parts[-1][0], "RepoTags": [name], "Layers": paths})
    parts.append(("manifest.json", json.dumps(entries).encode()))
    path.write_bytes(packed(parts))
    return path


def image_id(raw: bytes) -> str:
    return f"sha256:{hashlib.sha256(raw).hexdigest()}"


def folders(archive: Path) -> dict[str, dict[str, bytes]]:
    """The folders of `docker save`, with what is in their files; links followed."""
    found: dict[str, dict[str, bytes]] = {}
    with tarfile.open(archive) as tar:
        for member in tar:
            folder, slash, name = member.name.partition("/")
            if slash and not member.isdir():
                target = tar.getmember(f"{folder}/{member.linkname}".split("../")[-1]) if member.issym() else member
                content = tar.extractfile(target)
                assert content is not None
                found.setdefault(folder, {})[name] = content.read()
    return found


def documents(archive: Path) -> tuple[Any, Any]:
    """`manifest.json` and `repositories`."""
    with tarfile.open(archive) as tar:
        first, second = (tar.extractfile(name) for name in ("manifest.json", "repositories"))
        assert first is not None
        assert second is not None
        return json.load(first), json.load(second)


def done(puller: Puller, *words: str) -> str:
    """Run to a good end."""
    end = puller.run(*words)
    assert end.status == 0, end.errors
    return end.out


def beside(puller: Puller, name: str) -> Puller:
    """Another store of the same user."""
    return Puller(puller.store.with_name(name), puller.config)


def push_schema1(registry: Registry, archive: Path, name: str) -> str:
    """Push the only image of an archive as schema 1; its name."""
    reference = registry.name(name)
    words = ["skopeo", "copy", "--format", "v2s1", "--dest-tls-verify=false"]
    run([*words, f"docker-archive:{archive}", f"docker://{reference}"])
    return reference


def test_a_saved_content_image_is_loaded_by_docker_under_the_digest_of_its_config(
    puller: Puller, daemon: Daemon, tmp_path: Path
) -> None:
    raw = config(BASE, TOP)
    done(puller, "load", str(docker_archive(tmp_path / "in.tar", ("app:1", raw, (BASE, TOP)))))
    done(puller, "save", "app:1", "-o", str(tmp_path / "out.tar"))
    assert "Loaded image: app:1" in daemon.load(tmp_path / "out.tar")
    assert daemon.images() == {"app:1": image_id(raw)}


def test_the_folders_for_old_readers_are_those_that_docker_writes(
    puller: Puller, daemon: Daemon, tmp_path: Path
) -> None:
    raw, other = config(BASE, TOP, EMPTY), config(BASE, author="B")
    files = docker_archive(tmp_path / "in.tar", ("app:1", raw, (BASE, TOP, EMPTY)), ("app:2", other, (BASE,)))
    done(puller, "load", str(files))
    done(puller, "save", "app:1", "app:2", "-o", str(tmp_path / "ours.tar"))
    daemon.load(files)
    daemon.save(tmp_path / "theirs.tar", "app:1", "app:2")
    assert folders(tmp_path / "ours.tar") == folders(tmp_path / "theirs.tar")
    (ours, names), (theirs, wanted) = documents(tmp_path / "ours.tar"), documents(tmp_path / "theirs.tar")
    assert names == wanted
    assert _by_content(ours, tmp_path / "ours.tar") == _by_content(theirs, tmp_path / "theirs.tar")


def _by_content(entries: list[dict[str, Any]], archive: Path) -> list[dict[str, Any]]:
    """The entries of `manifest.json`, their layers by content: of several folders with one content any may be named."""
    held = folders(archive)
    found = [
        entry | {"Layers": [held[name.partition("/")[0]]["layer.tar"] for name in entry["Layers"]]} for entry in entries
    ]
    return sorted(found, key=lambda entry: str(entry["Config"]))


def test_what_docker_saves_is_loaded_and_saved_again_with_the_same_ids_and_layers(
    puller: Puller, daemon: Daemon, tmp_path: Path
) -> None:
    raw = config(BASE, TOP)
    daemon.load(docker_archive(tmp_path / "in.tar", ("app:1", raw, (BASE, TOP))))
    theirs, ours = daemon.save(tmp_path / "theirs.tar", "app:1"), tmp_path / "ours.tar"
    done(puller, "load", str(theirs))
    done(puller, "save", "app:1", "-o", str(ours))
    assert folders(ours) == folders(theirs)
    assert documents(ours) == documents(theirs)
    again = beside(puller, "again")
    done(again, "load", str(ours))
    done(again, "save", "app:1", "-o", str(tmp_path / "again.tar"))
    assert (tmp_path / "again.tar").read_bytes() == ours.read_bytes()


def test_one_layer_in_two_places_is_a_link_that_docker_skopeo_and_we_can_read(
    puller: Puller, daemon: Daemon, tmp_path: Path
) -> None:
    one, other = config(BASE, TOP, BASE), config(TOP, BASE)
    files = docker_archive(tmp_path / "in.tar", ("app:1", one, (BASE, TOP, BASE)), ("app:2", other, (TOP, BASE)))
    done(puller, "load", str(files))
    out = tmp_path / "out.tar"
    done(puller, "save", "app:1", "app:2", "-o", str(out))
    with tarfile.open(out) as tar:
        layers = [member for member in tar if member.name.endswith("layer.tar")]
    assert [member.isreg() for member in layers].count(True) == 2
    assert len(layers) == 5
    daemon.load(out)
    assert daemon.images() == {"app:1": image_id(one), "app:2": image_id(other)}
    for name, raw in (("app:1", one), ("app:2", other)):
        run(["skopeo", "copy", f"docker-archive:{out}:{name}", f"dir:{tmp_path / name}"])
        manifest = json.loads((tmp_path / name / "manifest.json").read_text())
        assert manifest["config"]["digest"] == image_id(raw)
    again = beside(puller, "again")
    done(again, "load", str(out))
    done(again, "save", "app:1", "app:2", "-o", str(tmp_path / "again.tar"))
    assert (tmp_path / "again.tar").read_bytes() == out.read_bytes()


def test_a_saved_graph_image_is_loaded_by_docker_and_by_us_and_saved_again_the_same(
    puller: Puller, daemon: Daemon, old_registry: Registry, tmp_path: Path
) -> None:
    archive = docker_archive(tmp_path / "in.tar", ("app:1", config(BASE, TOP), (BASE, TOP)))
    reference = push_schema1(old_registry, archive, "app")
    done(puller, "pull", "--plain-http", old_registry.host, reference)
    out = tmp_path / "out.tar"
    done(puller, "save", reference, "-o", str(out))
    ((entry,), names) = documents(out)
    expected = f"sha256:{entry['Config'].removesuffix('.json')}"
    assert f"Loaded image: {reference}" in daemon.load(out)
    assert daemon.images() == {reference: expected}
    top = json.loads(done(puller, "history", "--json", reference).splitlines()[0])["image_id"]
    assert names == {reference.removesuffix(":1"): {"1": top}}
    run(["skopeo", "inspect", f"docker-archive:{out}"])
    again = beside(puller, "again")
    done(again, "load", str(out))
    done(again, "save", reference, "-o", str(tmp_path / "again.tar"))
    assert (tmp_path / "again.tar").read_bytes() == out.read_bytes()
    assert json.loads(done(again, "history", "--json", reference).splitlines()[0])["image_id"] == top


def test_a_converted_image_is_pulled_by_docker_under_the_id_docker_itself_gives_to_the_old_one(
    puller: Puller, daemon: Daemon, old_registry: Registry, tmp_path: Path
) -> None:
    raw = config(BASE, TOP)
    archive = docker_archive(tmp_path / "in.tar", ("app:1", raw, (BASE, TOP)))
    reference = push_schema1(old_registry, archive, "app")
    daemon.run("pull", "--quiet", reference)
    done(puller, "pull", "--plain-http", old_registry.host, reference)
    new = old_registry.name("app", "new")
    lines = done(puller, "convert", reference, "--to", "oci", new).splitlines()
    converted = lines[0].split()[3]
    assert daemon.images() == {reference: converted}
    daemon.run("rmi", reference)
    run(["skopeo", "copy", "--dest-tls-verify=false", f"oci:{puller.store}:{new}", f"docker://{new}"])
    daemon.run("pull", "--quiet", new)
    assert daemon.images() == {new: converted}
    assert [step["Size"] for step in _history(daemon, new)] == [step["size"] for step in _ours(puller, new)]


def _history(daemon: Daemon, name: str) -> list[dict[str, Any]]:
    command = ["curl", "-sS", "--unix-socket", str(daemon.docker.socket), f"http://docker/images/{name}/history"]
    found: list[dict[str, Any]] = json.loads(run(command))
    return found


def _ours(puller: Puller, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in done(puller, "history", "--json", name).splitlines()]


@pytest.mark.parametrize("form", ["docker", "oci"])
def test_skopeo_reads_what_is_saved(puller: Puller, tmp_path: Path, form: str) -> None:
    raw = config(BASE, TOP)
    done(puller, "load", str(docker_archive(tmp_path / "in.tar", ("app:1", raw, (BASE, TOP)))))
    out = tmp_path / "out.tar"
    done(puller, "save", "app:1", "--format", form, "-o", str(out))
    kind = "docker-archive" if form == "docker" else "oci-archive"
    found = json.loads(run(["skopeo", "inspect", "--config", f"{kind}:{out}"]))
    assert found["rootfs"] == json.loads(raw)["rootfs"]
    run(["skopeo", "copy", f"{kind}:{out}", f"dir:{tmp_path / 'copied'}"])
    manifest = json.loads((tmp_path / "copied" / "manifest.json").read_text())
    assert manifest["config"]["digest"] == image_id(raw)


def test_docker_load_reads_a_pipe(puller: Puller, daemon: Daemon, tmp_path: Path) -> None:
    raw = config(BASE)
    done(puller, "load", str(docker_archive(tmp_path / "in.tar", ("app:1", raw, (BASE,)))))
    command = puller.command("save", "app:1", "-o", "-")
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=puller.environment()) as saving:
        loading = subprocess.run(
            daemon.docker.command("load"), stdin=saving.stdout, env=dict(daemon.docker.env), check=False
        )
    assert (saving.returncode, loading.returncode) == (0, 0)
    assert daemon.images() == {"app:1": image_id(raw)}
