"""`puller lock` and `puller pull --locked`: what names stood for when they were locked is what comes, and no other."""

import json
from pathlib import Path

import pytest

from puller.mirror.lockfile import Lock
from puller.model.reference import Reference
from testregistry import TestRegistry, faults, images
from tests.cli.conftest import Puller
from tests.cli.picture import IMAGE

pytestmark = pytest.mark.slow  # many small tests: for `make test`

OTHER = images.image(images.layer({"etc/motd": b"another\n"}))


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lock file is looked for where one stands."""
    monkeypatch.chdir(tmp_path)


def locked(file: str = "puller.lock") -> dict[str, str]:
    """Name to digest, as the file has it."""
    lock = Lock.decode(Path(file).read_bytes(), file)
    return {str(name): str(found.digest) for name, found in lock.images.items()}


def test_a_tag_is_locked_by_one_head_and_nothing_else(puller: Puller, registry: TestRegistry) -> None:
    registry.add("app:1", IMAGE)
    registry.add("app:2", OTHER)

    end = puller("lock", registry.name("app:1"), registry.name("app:2"), registry.name("app:1"))

    assert (end.code, end.out) == (0, "2 names locked in puller.lock\n")
    assert locked() == {registry.name("app:1"): IMAGE.digest, registry.name("app:2"): OTHER.digest}
    asked = [(r.method, r.path.rpartition("/")[2]) for r in registry.journal.requests if r.path != "/v2/"]
    assert sorted(asked) == [("HEAD", "1"), ("HEAD", "2")]


def test_a_name_without_a_tag_is_locked_as_latest_and_a_pinned_one_without_its_tag(
    puller: Puller, registry: TestRegistry
) -> None:
    registry.add("app:latest", IMAGE)

    end = puller("lock", f"{registry.host}/app", registry.name(f"app:latest@{IMAGE.digest}"), "-o", "other.lock")

    assert end.code == 0
    assert locked("other.lock") == {
        registry.name("app:latest"): IMAGE.digest,
        registry.name(f"app@{IMAGE.digest}"): IMAGE.digest,
    }


def test_unless_all_names_are_known_the_file_stays_as_it_was(puller: Puller, registry: TestRegistry) -> None:
    registry.add("app:1", IMAGE)
    Path("puller.lock").write_text("as it was")

    end = puller("lock", registry.name("app:1"), registry.name("none:1"))

    assert end.code == 1
    assert "NotFound" in end.err
    assert "no lock file was written: 1 name not known" in end.err
    assert Path("puller.lock").read_text() == "as it was"
    assert sorted(path.name for path in Path().iterdir()) == sorted(["home", "puller.lock", "run"])


def test_without_words_it_is_asked_what_to_lock(puller: Puller) -> None:
    assert puller("lock").code == 2
    assert puller("lock", "--check", "alpine").code == 2
    assert not Path("puller.lock").exists()


@pytest.mark.parametrize("word", ["mirrors.yaml", "./mirrors", "/no/such/mirrors.json"])
def test_a_file_that_is_not_there_is_no_image_of_docker_hub(puller: Puller, word: str) -> None:
    end = puller("lock", word)
    assert end.code == 2
    assert "the file cannot be read" in end.err
    assert Path(word).name in end.err


def test_a_check_of_what_has_not_moved_is_quiet_and_well(puller: Puller, registry: TestRegistry) -> None:
    registry.add("app:1", IMAGE)
    puller("lock", registry.name("app:1"), registry.name(f"app@{IMAGE.digest}"))
    registry.journal.clear()

    end = puller("lock", "--check")

    assert (end.code, end.out) == (0, "")
    assert "0 of 1 tag moved" in end.err
    assert [r.method for r in registry.journal.requests if r.kind == "manifest"] == ["HEAD"]


def test_a_check_lists_what_has_moved_and_what_is_gone(puller: Puller, registry: TestRegistry) -> None:
    registry.add("app:1", IMAGE)
    registry.add("app:2", IMAGE)
    registry.add("app:3", IMAGE)
    puller("lock", *(registry.name(f"app:{n}") for n in (1, 2, 3)))
    before = Path("puller.lock").read_bytes()
    registry.add("app:2", OTHER)
    registry.faults.append(faults.status(faults.Match(path="/manifests/3$"), 404, times=None))

    end = puller("lock", "--check")

    assert end.code == 1
    assert end.out.splitlines() == [
        f"{registry.name('app:2')}  {IMAGE.digest} → {OTHER.digest}",
        f"{registry.name('app:3')}  {IMAGE.digest} → gone",
    ]
    assert Path("puller.lock").read_bytes() == before


def test_what_could_not_be_asked_is_a_failure_and_not_a_move(puller: Puller, registry: TestRegistry) -> None:
    registry.add("app:1", IMAGE)
    puller("lock", registry.name("app:1"))
    registry.faults.append(faults.status(faults.Match(kind="manifest"), 403, times=None))

    end = puller("lock", "--check")

    assert (end.code, end.out) == (1, "")
    assert "Unauthorized" in end.err


def test_a_locked_pull_brings_what_was_locked_under_its_tag_though_that_has_moved(
    puller: Puller, registry: TestRegistry
) -> None:
    registry.add("app:1", IMAGE)
    puller("lock", registry.name("app:1"))
    registry.add("app:1", OTHER)
    registry.journal.clear()

    end = puller("pull", "--locked", registry.name("app:1"))

    assert end.code == 0
    assert IMAGE.digest in end.out
    assert puller("inspect", registry.name("app:1")).code == 0
    held = json.loads((Path("home/store/index.json")).read_text())["manifests"]
    assert [(entry["digest"], entry["annotations"]["org.opencontainers.image.ref.name"]) for entry in held] == [
        (IMAGE.digest, registry.name("app:1"))
    ]
    assert all("/manifests/1" not in request.path for request in registry.journal.requests)


def test_without_words_all_that_is_locked_is_pulled_and_once_more_without_a_request(
    puller: Puller, registry: TestRegistry
) -> None:
    registry.add("app:1", IMAGE)
    registry.add("app:2", OTHER)
    puller("lock", registry.name("app:1"), registry.name(f"app@{OTHER.digest}"), "-o", "l.lock")
    assert puller("pull", "--locked", "--lock", "l.lock").code == 0
    registry.journal.clear()

    end = puller("pull", "--locked", "--lock", "l.lock")

    assert end.code == 0
    assert len(end.out.splitlines()) == 2
    assert registry.journal.requests == []


def test_a_name_that_is_not_locked_is_refused_before_anything_is_asked(puller: Puller, registry: TestRegistry) -> None:
    registry.add("app:1", IMAGE)
    registry.add("app:2", IMAGE)
    puller("lock", registry.name("app:1"))
    registry.journal.clear()

    end = puller("pull", "--locked", registry.name("app:1"), registry.name("app:2"))

    assert end.code == 2
    assert "the lock file has no such name  [InvalidReference]" in end.err
    assert registry.name("app:2") in end.err
    assert registry.journal.requests == []


def test_a_word_with_another_digest_than_the_lock_is_refused(puller: Puller, registry: TestRegistry) -> None:
    registry.add("app:1", IMAGE)
    puller("lock", registry.name("app:1"))

    same = puller("pull", "--locked", registry.name(f"app:1@{IMAGE.digest}"))
    other = puller("pull", "--locked", registry.name(f"app:1@{OTHER.digest}"))

    assert same.code == 0
    assert other.code == 2
    assert "the lock file has another digest for this name" in other.err


def test_b10_content_that_is_not_the_locked_digest_is_refused(puller: Puller, registry: TestRegistry) -> None:
    registry.add("app:1", IMAGE)
    puller("lock", registry.name("app:1"))
    registry.faults.append(faults.body(IMAGE.digest, OTHER.raw, kind="manifest", times=None))

    end = puller("pull", "--locked")

    assert end.code == 3
    assert "Mismatch" in end.err


def test_a_locked_pull_without_a_lock_file_says_how_to_make_one(puller: Puller, registry: TestRegistry) -> None:
    end = puller("pull", "--locked", registry.name("app:1"))

    assert end.code == 2
    assert "the lock file cannot be read" in end.err
    assert "puller lock" in end.err


def test_a_pull_without_words_and_without_a_lock_is_refused(puller: Puller) -> None:
    assert puller("pull").code == 2
    assert puller("pull", "--locked", "--all-tags", "alpine").code == 2


def test_names_come_back_out_of_the_file_as_references(puller: Puller, registry: TestRegistry) -> None:
    registry.add("team/app:1", IMAGE)
    puller("lock", registry.name("team/app:1"))

    (name,) = Lock.decode(Path("puller.lock").read_bytes(), "puller.lock").images
    assert name == Reference.parse(registry.name("team/app:1"))


def test_every_tag_that_a_configuration_selects_is_locked_by_one_list_and_one_head_each(
    puller: Puller, registry: TestRegistry
) -> None:
    for tag in ("1.0", "1.1", "1.2", "edge"):
        registry.add(f"team/app:{tag}", IMAGE)
    registry.add("team/tool:stable", OTHER)
    Path("mirrors.yaml").write_text(f"""
puller: 1
mirrors:
  - {{from: {registry.host}/team/app, to: "oci:app", tags: {{semver: ">=1", newest: 2}}}}
  - {{from: {registry.host}/team/tool, to: "oci:tool", tags: [stable, "{OTHER.digest}"]}}
""")

    end = puller("lock", "mirrors.yaml")

    assert end.code == 0, end.err
    assert locked() == {
        registry.name("team/app:1.1"): IMAGE.digest,
        registry.name("team/app:1.2"): IMAGE.digest,
        registry.name("team/tool:stable"): OTHER.digest,
    }
    asked = [(r.method, r.path.rpartition("/")[2].partition("?")[0]) for r in registry.journal.requests]
    assert sorted(asked) == [("GET", "list"), ("HEAD", "1.1"), ("HEAD", "1.2"), ("HEAD", "stable")]
    assert not Path("app").exists()


def test_files_of_skopeo_are_locked_without_saying_where_images_go(puller: Puller, registry: TestRegistry) -> None:
    registry.add("team/app:1", IMAGE)
    Path("skopeo.yaml").write_text(f"{registry.host}:\n  images:\n    team/app: ['1']\n")

    assert puller("lock", "skopeo.yaml").code == 0
    assert locked() == {registry.name("team/app:1"): IMAGE.digest}


def test_a_repository_that_cannot_be_listed_leaves_the_lock_as_it_was(puller: Puller, registry: TestRegistry) -> None:
    registry.add("team/app:1", IMAGE)
    Path("mirrors.yaml").write_text(f"""
puller: 1
mirrors:
  - {{from: {registry.host}/team/app, to: "oci:app"}}
  - {{from: {registry.host}/team/none, to: "oci:none"}}
""")

    end = puller("lock", "mirrors.yaml")

    assert end.code == 1
    assert "no lock file was written" in end.err
    assert not Path("puller.lock").exists()
