"""The verbs beside pull: what they print, what they change, how they end."""

import json
import os
from pathlib import Path

import pytest

from testregistry import TestRegistry, images
from tests.cli.conftest import Puller
from tests.cli.picture import BASE, FOREIGN, IMAGE, PLATFORM, TOP

pytestmark = pytest.mark.slow  # many small tests: for `make test`


@pytest.fixture
def name(puller: Puller, registry: TestRegistry) -> str:
    """The name of an image that is in the store."""
    registry.add("app:1", IMAGE)
    assert puller(registry.name("app:1")).code == 0
    return registry.name("app:1")


def blob(home: Path, digest: str) -> Path:
    """Where a blob lies in the store."""
    return home / "store" / "blobs" / digest.replace(":", "/")


def test_images_lists_name_digest_platform_and_size(puller: Puller, name: str) -> None:
    end = puller("images")
    header, line = end.out.splitlines()
    assert header.split() == ["NAME", "ID", "DIGEST", "PLATFORMS", "SIZE"]
    assert line.split()[:4] == [name, IMAGE.config.digest[7:19], IMAGE.digest[7:19], "/".join(PLATFORM)]
    assert (end.code, end.err) == (0, "")


def test_images_of_an_empty_store_is_a_header(puller: Puller) -> None:
    assert puller("images").out.split() == ["NAME", "ID", "DIGEST", "PLATFORMS", "SIZE"]


def test_images_as_json_gives_numbers(puller: Puller, name: str) -> None:
    (line,) = puller("images", "--json").out.splitlines()
    assert json.loads(line) == {
        "name": name,
        "kind": "content",
        "image_id": IMAGE.config.digest,
        "digest": IMAGE.digest,
        "media_type": IMAGE.media_type,
        "platforms": ["/".join(PLATFORM)],
        "size": IMAGE.size + IMAGE.config.size + BASE.size + TOP.size,
        "damaged": False,
    }


@pytest.mark.parametrize("digest", [IMAGE.digest, IMAGE.config.digest], ids=["manifest", "config"])
def test_images_marks_what_is_damaged_and_lists_the_rest(
    puller: Puller, registry: TestRegistry, name: str, home: Path, digest: str
) -> None:
    registry.add("other:1", images.image(BASE, platform=PLATFORM))
    puller(registry.name("other:1"))
    damaged = blob(home, digest)
    damaged.chmod(0o600)
    damaged.write_bytes(bytes(damaged.stat().st_size))
    end = puller("images")
    rows = {line.split()[0]: line for line in end.out.splitlines()[1:]}
    assert end.code == 3
    assert "  damaged  " in rows[name]
    assert "/".join(PLATFORM) in rows[registry.name("other:1")]
    assert "verify --all" in end.err
    assert [json.loads(line)["damaged"] for line in puller("images", "--json").out.splitlines()] == [True, False]


def test_inspect_of_a_layer_says_that_it_is_no_manifest(puller: Puller, name: str) -> None:
    for words in (("inspect",), ("inspect", "--raw")):
        end = puller(*words, f"{name.rpartition(':')[0]}@{BASE.digest}")
        assert (end.code, end.out) == (1, "")
        assert "this is no manifest  [InvalidManifest]" in end.err


def test_a_blob_that_is_gone_is_to_be_pulled_again(puller: Puller, name: str, home: Path) -> None:
    blob(home, IMAGE.config.digest).unlink()
    assert "Pull it again" in puller("inspect", name).err


def test_inspect_tells_what_was_proved_of_every_layer(puller: Puller, name: str) -> None:
    told = json.loads(puller("inspect", name).out)
    assert (told["name"], told["digest"], told["platform"]) == (name, IMAGE.digest, "/".join(PLATFORM))
    assert [layer["digest"] for layer in told["layers"]] == [BASE.digest, TOP.digest]
    assert [layer["diff_id"] for layer in told["layers"]] == [BASE.diff_id, TOP.diff_id]
    assert all(layer["tarsum"].startswith("tarsum.v1+sha256:") for layer in told["layers"])
    assert told["layers"][0]["chain_id"] == BASE.diff_id


def test_inspect_of_an_index_shows_which_platforms_are_here(puller: Puller, registry: TestRegistry) -> None:
    registry.add("app:1", images.index(IMAGE, FOREIGN))
    puller(registry.name("app:1"))
    told = json.loads(puller("inspect", registry.name("app:1")).out)
    assert [(entry["platform"], entry["present"]) for entry in told["manifests"]] == [
        ("/".join(PLATFORM), True),
        ("linux/s390x", False),
    ]


def test_inspect_raw_is_the_manifest_byte_for_byte(puller: Puller, name: str) -> None:
    assert puller("inspect", "--raw", name).out == IMAGE.raw.decode()


def test_tag_gives_another_name_and_keeps_the_old_one(puller: Puller, name: str) -> None:
    end = puller("tag", name, "local.example/mine:2")
    assert (end.code, end.out) == (0, f"local.example/mine:2  {IMAGE.digest}\n")
    listed = [json.loads(line)["name"] for line in puller("images", "--json").out.splitlines()]
    assert sorted(listed) == sorted([name, "local.example/mine:2"])


def test_rm_takes_the_name_and_frees_what_nothing_else_needs(puller: Puller, name: str, home: Path) -> None:
    end = puller("rm", name)
    assert end.code == 0
    assert end.out.startswith(f"removed {name}  4 blobs, ")
    assert not blob(home, BASE.digest).exists()
    assert puller("images", "--json").out == ""


def test_rm_goes_on_after_a_name_that_is_not_there(puller: Puller, name: str) -> None:
    end = puller("rm", "nothere:1", name)
    assert end.code == 1
    assert end.out.startswith(f"removed {name}  4 blobs, ")
    assert "docker.io/library/nothere:1" in end.err


def test_rm_keeps_what_another_name_needs(puller: Puller, registry: TestRegistry, name: str, home: Path) -> None:
    registry.add("other:1", images.image(BASE, platform=PLATFORM))
    puller(registry.name("other:1"))
    puller("rm", name)
    assert blob(home, BASE.digest).exists()
    assert not blob(home, TOP.digest).exists()


def test_a_pinned_image_is_found_by_the_very_words_it_was_pulled_by(puller: Puller, registry: TestRegistry) -> None:
    registry.add("app", IMAGE)
    words = f"{registry.name('app:1')}@{IMAGE.digest}"
    assert puller(words).code == 0
    assert puller("inspect", words).code == 0
    assert puller("verify", words).code == 0
    assert puller("tag", words, "mine:1").code == 0
    assert puller("rm", words).code == 0
    assert json.loads(puller("images", "--json").out)["name"] == "docker.io/library/mine:1"


def test_gc_says_what_would_go_and_frees_nothing_in_a_dry_run(puller: Puller, name: str, home: Path) -> None:
    _untag(home)
    end = puller("gc", "--dry-run")
    assert f"would free {BASE.digest}" in end.out.splitlines()
    assert "; 0 blobs kept" in end.out
    assert blob(home, BASE.digest).exists()


def test_gc_frees_what_no_name_needs(puller: Puller, name: str, home: Path) -> None:
    assert puller("gc").out == "0 blobs, 0 B freed; 4 blobs kept\n"
    _untag(home)
    assert f"freed {BASE.digest}" in puller("gc").out.splitlines()
    assert not blob(home, BASE.digest).exists()


def test_gc_says_how_much_unfinished_it_swept(puller: Puller, name: str, home: Path) -> None:
    unfinished = home / "store" / "ingest" / TOP.digest.replace(":", "-")
    blob(home, TOP.digest).unlink()
    unfinished.mkdir(parents=True)
    (unfinished / "data").write_bytes(bytes(1_000))
    for path in (unfinished / "data", unfinished):
        os.utime(path, (0, 0))
    assert puller("gc", "--dry-run").out.splitlines()[-1] == "1 unfinished blob, 1.0 kB to sweep"
    assert puller("gc").out.splitlines()[-1] == "1 unfinished blob, 1.0 kB swept"
    assert not unfinished.exists()


def test_gc_says_how_much_of_what_was_set_aside_it_swept(puller: Puller, name: str, home: Path) -> None:
    damaged = blob(home, TOP.digest)
    damaged.chmod(0o600)
    damaged.write_bytes(bytes(TOP.size))
    assert puller("verify", "--all").code == 3
    assert puller("gc", "--days", "0").out.splitlines()[-1].startswith("1 damaged blob, ")


def test_rm_of_an_image_whose_needs_are_hidden_takes_the_name_and_says_why_nothing_is_freed(
    puller: Puller, registry: TestRegistry, name: str, home: Path
) -> None:
    other = images.image(BASE, platform=PLATFORM)
    registry.add("other:1", other)
    puller(registry.name("other:1"))
    damaged = blob(home, other.digest)
    damaged.chmod(0o600)
    damaged.write_bytes(bytes(other.size))
    end = puller("rm", name)
    assert end.code == 3
    assert end.out == f"removed {name}  0 blobs, 0 B freed\n"
    assert "[ContentCorrupt]" in end.err


def test_verify_of_a_good_store_says_how_much_was_read(puller: Puller, name: str) -> None:
    for words in (("--all",), (name,)):
        end = puller("verify", *words)
        assert end.code == 0
        assert end.out.startswith("verified 4 blobs, ")
        assert end.out.endswith(": all right\n")


def test_verify_finds_a_flipped_byte_and_the_next_pull_mends_it(puller: Puller, name: str, home: Path) -> None:
    damaged = blob(home, BASE.digest)
    damaged.chmod(0o600)
    damaged.write_bytes(bytes(BASE.size))
    end = puller("verify", "--all")
    assert end.code == 3
    assert BASE.digest in end.out
    assert name in end.out
    assert puller(name).code == 0
    assert damaged.read_bytes() == BASE.raw
    assert puller("verify", "--all").code == 0


def test_verify_misses_what_is_gone_but_not_the_platforms_nobody_pulled(
    puller: Puller, registry: TestRegistry, home: Path
) -> None:
    registry.add("app:1", images.index(IMAGE, FOREIGN))
    puller(registry.name("app:1"))
    assert puller("verify", registry.name("app:1")).code == 0
    blob(home, TOP.digest).unlink()
    end = puller("verify", registry.name("app:1"))
    assert end.code == 3
    assert TOP.digest in end.out


@pytest.mark.parametrize("words", [(), ("--all", "alpine")])
def test_verify_wants_names_or_all(puller: Puller, words: tuple[str, ...]) -> None:
    assert puller("verify", *words).code == 2


def test_digest_asks_the_registry_and_pulls_nothing(puller: Puller, registry: TestRegistry, home: Path) -> None:
    registry.add("app:latest", IMAGE)
    end = puller("digest", registry.name("app"))
    assert (end.code, end.out, end.err) == (0, f"{IMAGE.digest}\n", "")
    assert registry.journal.count("GET") == 0
    assert not (home / "store").exists()


def test_tags_lists_one_a_line_in_the_registrys_order(puller: Puller, registry: TestRegistry) -> None:
    for tag in ("b", "a", "10", "9"):
        registry.add(f"app:{tag}", IMAGE)
    end = puller("tags", registry.name("app"))
    assert (end.code, end.err) == (0, "")
    assert sorted(end.out.split()) == ["10", "9", "a", "b"]
    assert len(end.out.splitlines()) == 4


@pytest.mark.parametrize("words", [("inspect",), ("inspect", "--raw"), ("rm",), ("verify",)])
def test_a_name_the_store_does_not_have_is_an_error(puller: Puller, words: tuple[str, ...]) -> None:
    end = puller(*words, "nothere:1")
    assert (end.code, end.out) == (1, "")
    assert end.err.startswith("puller: ")
    assert "docker.io/library/nothere:1" in end.err
    assert "`puller images`" in end.err


def _untag(home: Path) -> None:
    """Take all names away behind the program's back."""
    index = home / "store" / "index.json"
    index.write_text(json.dumps(json.loads(index.read_text()) | {"manifests": []}))
