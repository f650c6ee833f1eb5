"""The file of names: found, moved and kept as moby's tag store did, and never lost."""

import json
import os
import stat
from pathlib import Path

import pytest

from puller.errors import ContentCorrupt, ContentMissing, InvalidReference, StoreUnusable
from puller.graph.tags import LIMIT, DiskTagStore
from tests.graph.images import graph_at, named, register
from tests.graph.recorded import sentence

A, B = named("a"), named("b")
DIGEST = "sha256:" + "0" * 64


@pytest.fixture
def file(root: Path) -> Path:
    return root / "repositories-vfs"


@pytest.fixture
def tags(root: Path, file: Path) -> DiskTagStore:
    graph = graph_at(root)
    register(graph, "a")
    register(graph, "b")
    return DiskTagStore(file, graph)


OFFICIAL = [
    name
    for repository in ("test", "library/test", "docker.io/test", "index.docker.io/test", "docker.io/library/test",
                       "index.docker.io/library/test")
    for name in (repository, f"{repository}:latest")
]  # fmt: skip
PRIVATE = ["127.0.0.1:8000/test", "127.0.0.1:8000/test:latest", "127.0.0.1:8000/test:" + A[:12]]


@pytest.mark.parametrize("name", [*OFFICIAL, A, A[:12], f"test:{A[:12]}", f"docker.io/library/test:{A[:12]}"])
def test_lookup_image_by_every_official_spelling(tags: DiskTagStore, name: str) -> None:
    tags.tag("test", "latest", A)
    assert tags.lookup(name) == A


@pytest.mark.parametrize("name", PRIVATE)
def test_lookup_image_by_a_private_name(tags: DiskTagStore, name: str) -> None:
    tags.tag("127.0.0.1:8000/test", "", A)
    assert tags.lookup(name) == A


@pytest.mark.parametrize("name", ["fail:fail", "library/fail", "test:fail", "Test", A[:11] + "g"])
def test_lookup_image_of_what_is_not_here(tags: DiskTagStore, name: str) -> None:
    tags.tag("test", "", A)
    with pytest.raises(ContentMissing) as error:
        tags.lookup(name)
    assert error.value.what == f"could not find image: no such id: {name}"


def test_lookup_image_by_digest(tags: DiskTagStore) -> None:
    tags.set_digest("test", DIGEST, A)
    assert tags.lookup(f"test@{DIGEST}") == A


def test_a_short_id_is_looked_for_in_its_repository_only(tags: DiskTagStore) -> None:
    tags.tag("test", "", A)
    with pytest.raises(ContentMissing):
        tags.lookup(f"test:{B[:12]}")


def test_a_name_of_an_image_that_is_gone_is_told(root: Path, tags: DiskTagStore) -> None:
    tags.tag("test", "", A)
    graph_at(root).delete(A)
    with pytest.raises(ContentMissing, match=f"no such id: {A}"):
        tags.lookup("test")


def test_a_name_that_moves_says_what_it_had_named(tags: DiskTagStore) -> None:
    assert tags.tag("r", "t", A) is None
    assert tags.tag("r", "t", A[:12]) is None
    assert tags.tag("docker.io/library/r", "t", "r:" + A[:12]) is None
    assert tags.tag("r", "t", B) == A
    assert tags.repositories() == {"r": {"t": B}}


def test_a_name_in_use_is_kept_unless_forced(tags: DiskTagStore) -> None:
    tags.tag("r", "", A)
    with pytest.raises(InvalidReference) as error:
        tags.tag("r", "", B, force=False)
    said = f"Conflict: Tag r:latest is already set to image {A[:12]}"
    assert error.value.what == f"{said}, if you want to replace it, please use -f option"
    assert tags.get("r", "latest") == A


def test_a_digest_names_one_image_for_ever(tags: DiskTagStore) -> None:
    tags.set_digest("r", DIGEST, A)
    tags.set_digest("r", DIGEST, A)
    said = sentence(lambda: tags.set_digest("r", DIGEST, B))
    assert said == f"Conflict: Digest {DIGEST} is already set to image {A}"
    assert sentence(lambda: tags.set_digest("r", "", A)) == "digest can't be empty"
    assert sentence(lambda: tags.set_digest("", DIGEST, A)) == "Repository name can't be empty"


def test_many_names_are_set_at_once_or_none(file: Path, tags: DiskTagStore) -> None:
    tags.tag("r", "1", A)
    before = file.stat().st_ino
    moved = tags.replace({("library/r", "1"): B, ("r", "2"): A, ("s", ""): B[:20]})
    assert moved == {("r", "1"): A}
    assert tags.repositories() == {"r": {"1": B, "2": A}, "s": {"latest": B}}
    assert file.stat().st_ino != before
    raw = file.read_bytes()
    with pytest.raises(InvalidReference):
        tags.replace({("r", "3"): A, ("r", "-"): A})
    with pytest.raises(ContentMissing):
        tags.replace({("r", "3"): A, ("r", "4"): named("nobody")})
    assert file.read_bytes() == raw


def test_the_last_name_takes_its_repository_with_it(tags: DiskTagStore) -> None:
    tags.replace({("r", "1"): A, ("r", "2"): A, ("s", "1"): A, ("s", "2"): A})
    assert not tags.remove("r", "3")
    assert not tags.remove("nobody", "1")
    assert tags.remove("docker.io/library/r", "1")
    assert tags.remove("r", "2")
    assert tags.remove("s", "")
    assert tags.repositories() == {}


def test_the_names_of_an_image_are_in_order(tags: DiskTagStore) -> None:
    tags.replace({("r", "2"): A, ("r", "1"): A, ("b", "x"): A, ("b", "y"): B})
    assert tags.names_of(A) == [("b", "x"), ("r", "1"), ("r", "2")]
    assert tags.names_of(named("nobody")) == []


def test_what_another_process_wrote_is_kept(root: Path, file: Path, tags: DiskTagStore) -> None:
    tags.tag("r", "1", A)
    DiskTagStore(file, graph_at(root)).tag("s", "1", A)
    tags.tag("r", "2", A)
    assert tags.repositories() == {"r": {"1": A, "2": A}, "s": {"1": A}}


def test_the_file_is_private_and_encoded_as_go_did(file: Path, tags: DiskTagStore) -> None:
    tags.tag("z/<&>", "1", A)
    tags.tag("a", "1", A)
    assert file.read_text() == f'{{"Repositories":{{"a":{{"1":"{A}"}},"z/\\u003c\\u0026\\u003e":{{"1":"{A}"}}}}}}'
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in file.parent.iterdir() if path.name.startswith(".")] == []


def test_no_file_is_no_names_and_looking_makes_none(file: Path, tags: DiskTagStore) -> None:
    assert tags.repositories() == {}
    assert not tags.remove("r", "1")
    assert not file.exists()


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"no JSON",
        b"[]",
        b'{"Repositories":[]}',
        b'{"Repositories":{"r":"x"}}',
        b'{"Repositories":{"r":{"t":1}}}',
        b'{"Repositories":{"r":{"t":"abc"}}}',
        b'{"Repositories":{"r":{"t":"../../%s"}}}' % (b"a" * 58),
        b'{"Repositories":{"r":{},"r":{}}}',
        b'{"Repositories":' + b'{"r":' * 70 + b"{}" + b"}" * 71,
    ],
)
def test_h3_a_file_that_is_damaged_is_told_and_never_replaced(file: Path, tags: DiskTagStore, raw: bytes) -> None:
    file.write_bytes(raw)
    for ask in (
        tags.repositories,
        lambda: tags.tag("r", "t", A),
        lambda: tags.remove("r", "t"),
        lambda: tags.lookup(A),
    ):
        with pytest.raises(ContentCorrupt) as error:
            ask()
        assert error.value.where == file
    assert file.read_bytes() == raw


@pytest.mark.timeout(10)
def test_h1_a_link_or_a_pipe_in_its_place_is_neither_followed_nor_replaced(file: Path, tags: DiskTagStore) -> None:
    other = file.with_name("other")
    other.write_text(json.dumps({"Repositories": {"r": {"t": A}}}))
    file.symlink_to(other)
    with pytest.raises(ContentCorrupt):
        tags.tag("s", "t", A)
    assert file.is_symlink()
    file.unlink()
    os.mkfifo(file)
    with pytest.raises(ContentCorrupt):
        tags.tag("s", "t", A)


def test_d6_a_file_beyond_its_limit_is_refused(file: Path, tags: DiskTagStore) -> None:
    file.touch()
    os.truncate(file, LIMIT + 1)
    with pytest.raises(ContentCorrupt, match="damaged"):
        tags.repositories()


def test_a_null_in_the_place_of_names_is_none(file: Path, tags: DiskTagStore) -> None:
    file.write_bytes(b'{"Repositories":null}')
    assert tags.repositories() == {}


def test_what_a_dead_process_left_is_written_over(file: Path, tags: DiskTagStore) -> None:
    file.with_name(f".{file.name}.new").write_text("half")
    tags.tag("r", "t", A)
    assert tags.get("r", "t") == A


def test_a_name_that_cannot_be_written_is_told_and_the_old_names_stay(file: Path, tags: DiskTagStore) -> None:
    tags.tag("r", "t", A)
    file.with_name(f".{file.name}.new").mkdir()
    with pytest.raises((StoreUnusable, ContentCorrupt)):
        tags.tag("r", "t", B)
    assert tags.get("r", "t") == A


def test_a8_a_whole_id_is_never_a_name(tags: DiskTagStore) -> None:
    tags.tag("test", "x", A)
    tags.replace({(B, "latest"): A})
    assert tags.lookup(B) == B
