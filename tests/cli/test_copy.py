"""`puller copy`: from any place to any other; what it prints, what it changes, how it ends."""

import json
import tarfile
from pathlib import Path

import pytest

from puller.graph.tags import DiskTagStore
from testregistry import TestRegistry, images
from tests.cli.conftest import Puller
from tests.cli.picture import BASE, FOREIGN, IMAGE, OLD, PLATFORM
from tests.graph.images import graph_at, named, plant
from tests.store.plainly import listed

pytestmark = pytest.mark.slow  # many small tests: for `make test`

BOTH = images.index(IMAGE, FOREIGN)


@pytest.fixture
def source(registry: TestRegistry) -> str:
    """The name of an image of two platforms."""
    registry.add("app:1", BOTH)
    return registry.name("app:1")


def digest_at(registry: TestRegistry, repository: str, tag: str) -> str | None:
    found = registry.storage.manifest(repository, tag)
    return None if found is None else str(found[0].digest)


def blobs(folder: Path) -> set[str]:
    return {f"sha256:{path.name}" for path in (folder / "blobs" / "sha256").iterdir()}


def test_an_image_goes_from_registry_to_registry(puller: Puller, source: str, other: TestRegistry) -> None:
    end = puller("copy", source, other.name("copy:2"))
    assert end.code == 0, end.err
    assert end.out.startswith(f"copied {other.name('copy:2')}  {BOTH.digest}  ")
    assert digest_at(other, "copy", "2") == BOTH.digest


def test_a_second_copy_sends_nothing(puller: Puller, source: str, other: TestRegistry) -> None:
    puller("copy", source, other.name("copy:2"))
    other.journal.clear()
    end = puller("copy", source, other.name("copy:2"))
    assert end.code == 0
    assert "nothing to send" in end.out
    assert "brought" not in end.out


def test_without_a_tag_of_its_own_it_keeps_the_one_it_has(puller: Puller, source: str, other: TestRegistry) -> None:
    assert puller("copy", source, other.name("copy")).code == 0
    assert digest_at(other, "copy", "1") == BOTH.digest
    assert digest_at(other, "copy", "latest") is None


def test_by_its_digest_alone_it_gets_no_tag(
    puller: Puller, registry: TestRegistry, source: str, other: TestRegistry
) -> None:
    end = puller("copy", f"{registry.name('app')}@{BOTH.digest}", other.name("copy"))
    assert end.code == 0, end.err
    assert end.out.startswith(f"copied {other.name('copy')}@{BOTH.digest}  ")
    assert other.storage.manifest("copy", BOTH.digest) is not None


def test_blobs_of_the_same_registry_are_mounted(puller: Puller, registry: TestRegistry, source: str) -> None:
    end = puller("copy", source, registry.name("second:1"))
    assert end.code == 0, end.err
    assert "4 mounted" in end.out
    assert digest_at(registry, "second", "1") == BOTH.digest


def test_an_image_goes_to_a_directory_and_back(
    puller: Puller, source: str, other: TestRegistry, tmp_path: Path
) -> None:
    folder = tmp_path / "images"
    end = puller("copy", source, f"oci:{folder}:one")
    assert end.code == 0, end.err
    assert end.out.startswith(f"copied oci:{folder}:one  {BOTH.digest}  ")
    assert listed(folder) == {"one": BOTH.digest}
    assert puller("copy", f"oci:{folder}:one", other.name("copy:2")).code == 0
    assert digest_at(other, "copy", "2") == BOTH.digest


def test_a_directory_with_one_image_needs_no_name(
    puller: Puller, source: str, other: TestRegistry, tmp_path: Path
) -> None:
    assert puller("copy", source, f"oci:{tmp_path}/images").code == 0
    assert listed(tmp_path / "images") == {"1": BOTH.digest}
    assert puller("copy", f"oci:{tmp_path}/images", other.name("copy")).code == 0
    assert digest_at(other, "copy", "1") == BOTH.digest


def test_a_directory_is_asked_for_a_digest(puller: Puller, source: str, tmp_path: Path) -> None:
    puller("copy", source, f"oci:{tmp_path}/images")
    end = puller("copy", f"oci:{tmp_path}/images@{IMAGE.digest}", f"oci:{tmp_path}/second:only")
    assert end.code == 0, end.err
    assert listed(tmp_path / "second") == {"only": IMAGE.digest}


def test_an_image_goes_to_the_store_and_on(puller: Puller, source: str, other: TestRegistry) -> None:
    end = puller("copy", source, f"store:{other.name('mine:1')}")
    assert end.code == 0, end.err
    assert puller("verify", "--all").code == 0
    assert other.name("mine:1") in puller("images").out
    assert puller("copy", f"store:{other.name('mine:1')}", other.name("mine")).code == 0
    assert digest_at(other, "mine", "1") == BOTH.digest


def test_an_image_of_the_store_is_called_as_it_is_typed(
    puller: Puller, source: str, other: TestRegistry, tmp_path: Path
) -> None:
    name = f"store:{other.name('mine:1')}"
    end = puller("copy", source, name)
    assert end.out.startswith(f"copied {name}  ")
    assert end.err.startswith(f"{name}  ")
    report = tmp_path / "report.json"
    assert puller("copy", name, other.name("mine"), "--report", str(report)).code == 0
    (copied,) = json.loads(report.read_text())["copies"]
    assert (copied["source"], copied["target"]) == (name, other.name("mine:1"))


def test_a_blob_that_is_brought_or_there_is_called_so(puller: Puller, registry: TestRegistry, tmp_path: Path) -> None:
    registry.add("app:1", IMAGE)
    end = puller("copy", registry.name("app:1"), f"oci:{tmp_path}/images")
    assert {line.split("B  ")[1] for line in end.err.splitlines()[1:]} == {"brought"}
    end = puller("copy", registry.name("app:1"), f"oci:{tmp_path}/images:2")
    assert {line.split("B  ")[1] for line in end.err.splitlines()[1:]} == {"brought", "there already"}


def test_a_single_image_comes_whatever_it_is_for_and_is_warned_of_if_that_is_not_what_was_chosen(
    puller: Puller, registry: TestRegistry, tmp_path: Path
) -> None:
    registry.add("app:1", IMAGE)
    place = f"oci:{tmp_path}/images"
    other = puller("copy", registry.name("app:1"), place, "--platform", "linux/s390x")
    assert other.code == 0
    assert other.err.splitlines()[0].endswith(f", not for linux/s390x, and there is no other ({place}:1)")
    same = puller("copy", registry.name("app:1"), place, "--platform", "linux/amd64")
    assert same.code == 0
    assert "warning" not in same.err


@pytest.mark.parametrize("words", [("oci:a.tar", "oci:images"), ("oci:images", "oci:a.tar:1")])
def test_a_file_in_the_place_of_a_directory_is_told(
    puller: Puller, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.tar").write_bytes(b"")
    end = puller("copy", *words)
    assert (end.code, "oci-archive:FILE" in end.err) == (2, True)


def test_a_directory_that_was_taken_for_a_name_is_told(
    puller: Puller, registry: TestRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / registry.host / "app").mkdir(parents=True)
    end = puller("copy", f"{registry.host}/app", "oci:images")
    assert end.code == 1
    assert f"of what is here: oci:{registry.host}/app" in end.err


def test_an_image_goes_through_an_archive_of_dockers(
    puller: Puller, registry: TestRegistry, other: TestRegistry, tmp_path: Path
) -> None:
    registry.add("app:1", IMAGE)
    archive = f"docker-archive:{tmp_path}/a.tar"
    end = puller("copy", registry.name("app:1"), archive)
    assert end.code == 0, end.err
    with tarfile.open(tmp_path / "a.tar") as opened:
        member = opened.extractfile("manifest.json")
        assert member is not None
        assert json.load(member)[0]["RepoTags"] == [registry.name("app:1")]
    assert puller("copy", archive, other.name("copy")).code == 0
    assert digest_at(other, "copy", "1") is not None


def test_an_image_goes_through_an_archive_of_ocis(
    puller: Puller, source: str, other: TestRegistry, tmp_path: Path
) -> None:
    archive = f"oci-archive:{tmp_path}/a.tar"
    assert puller("copy", source, f"{archive}:7").code == 0
    assert puller("copy", f"{archive}:7", other.name("copy:2")).code == 0
    assert digest_at(other, "copy", "2") == BOTH.digest


def test_one_platform_is_brought_of_an_index_that_stays(puller: Puller, source: str, tmp_path: Path) -> None:
    end = puller("copy", source, f"oci:{tmp_path}/images:1", "--platform", "/".join(PLATFORM))
    assert end.code == 0, end.err
    assert listed(tmp_path / "images") == {"1": BOTH.digest}
    assert FOREIGN.digest not in blobs(tmp_path / "images")
    assert "warning" in end.err
    assert "not there" in end.err


def test_an_index_is_rewritten_for_the_chosen_platforms(puller: Puller, source: str, other: TestRegistry) -> None:
    end = puller("copy", source, other.name("copy:2"), "--platform", "/".join(PLATFORM), "--rewrite-index")
    assert end.code == 0, end.err
    found = other.storage.manifest("copy", "2")
    assert found is not None
    assert [one["digest"] for one in json.loads(found[0].raw)["manifests"]] == [IMAGE.digest]
    assert found[0].digest != BOTH.digest
    assert found[0].digest in end.out
    assert "rewritten" in end.err


def test_a_single_image_goes_without_its_index(puller: Puller, source: str, other: TestRegistry) -> None:
    end = puller("copy", source, other.name("copy:2"), "--platform", "/".join(PLATFORM), "--single")
    assert end.code == 0, end.err
    assert digest_at(other, "copy", "2") == IMAGE.digest
    assert IMAGE.digest in end.out


def test_all_tags_go_under_the_same_tags(puller: Puller, registry: TestRegistry, source: str, tmp_path: Path) -> None:
    registry.add("app:2", IMAGE)
    end = puller("copy", registry.name("app"), f"oci:{tmp_path}/images", "--all-tags")
    assert end.code == 0, end.err
    assert listed(tmp_path / "images") == {"1": BOTH.digest, "2": IMAGE.digest}
    assert len(end.out.splitlines()) == 2


def test_of_all_tags_one_that_fails_stops_no_other(
    puller: Puller, registry: TestRegistry, source: str, tmp_path: Path
) -> None:
    broken = images.image(images.layer({"gone": b"gone"}), platform=PLATFORM)
    registry.add("app:2", broken)
    registry.storage.drop_blob("app", broken.layers[0].digest)
    end = puller("copy", registry.name("app"), f"oci:{tmp_path}/images", "--all-tags")
    assert end.code == 1
    assert listed(tmp_path / "images") == {"1": BOTH.digest}
    assert f"copying {registry.name('app:2')} to oci:{tmp_path}/images:2" in end.err


@pytest.mark.parametrize("kind", ["oci", "oci-archive", "store", "registry"])
def test_what_refers_to_an_image_comes_with_it_from_any_place_to_any(
    puller: Puller, registry: TestRegistry, other: TestRegistry, tmp_path: Path, kind: str
) -> None:
    registry.add("app:1", IMAGE)
    signature = images.artifact(artifact_type="application/x.signature", subject=IMAGE)
    registry.add("app", signature)
    between = {
        "oci": f"oci:{tmp_path}/images:1",
        "oci-archive": f"oci-archive:{tmp_path}/a.tar:1",
        "store": f"store:{other.name('kept:1')}",
        "registry": other.name("between:1"),
    }[kind]
    end = puller("copy", registry.name("app:1"), between, "--referrers")
    assert end.code == 0, end.err
    end = puller("copy", between, other.name("copy:2"), "--referrers")
    assert end.code == 0, end.err
    assert other.storage.manifest("copy", signature.digest) is not None


def test_the_report_says_what_came_of_it(puller: Puller, source: str, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    assert puller("copy", source, f"oci:{tmp_path}/images", "--report", str(report)).code == 0
    (one,) = json.loads(report.read_text())["copies"]
    assert (one["source"], one["target"]) == (source, f"oci:{tmp_path}/images:1")
    assert one["digest"] == one["carried"]["root"] == BOTH.digest
    assert one["error"] is None
    assert one["carried"]["fetched"] > 0


def test_the_report_says_what_failed(puller: Puller, registry: TestRegistry, source: str, tmp_path: Path) -> None:
    registry.storage.drop_blob("app", BASE.digest)
    report = tmp_path / "report.json"
    end = puller("copy", source, f"oci:{tmp_path}/images", "--report", str(report))
    assert end.code == 1
    (one,) = json.loads(report.read_text())["copies"]
    assert one["error"]["error"] == "NotFound"
    assert one["carried"] is None
    assert listed(tmp_path / "images") == {}


def test_wrong_bytes_end_with_three(puller: Puller, registry: TestRegistry, source: str, tmp_path: Path) -> None:
    folder = tmp_path / "images"
    puller("copy", source, f"oci:{folder}")
    blob = folder / "blobs" / "sha256" / BASE.digest.partition(":")[2]
    content = blob.read_bytes()
    blob.chmod(0o600)
    blob.write_bytes(content[:-1] + b"!")
    end = puller("copy", f"oci:{folder}", f"oci:{tmp_path}/second")
    assert end.code == 3
    assert listed(tmp_path / "second") == {}


def test_an_image_of_schema_1_goes_as_it_was_signed(
    puller: Puller, registry: TestRegistry, other: TestRegistry, tmp_path: Path
) -> None:
    registry.add("old:1", OLD)
    assert puller("copy", registry.name("old:1"), f"oci:{tmp_path}/images").code == 0
    end = puller("copy", f"oci:{tmp_path}/images:1", other.name("old"))
    assert end.code == 0, end.err
    found = other.storage.manifest("old", "1")
    assert found is not None
    assert found[0].digest == OLD.digest


def test_an_image_of_the_graph_is_refused_with_what_to_do(puller: Puller, home: Path, tmp_path: Path) -> None:
    assert puller("images").code == 0
    plant(home / "store", "old")
    DiskTagStore(home / "store" / "repositories-vfs", graph_at(home / "store")).tag("mine", "1", named("old"))
    end = puller("copy", "store:mine:1", f"oci:{tmp_path}/images")
    assert end.code == 1
    assert "puller push" in end.err
    assert "puller convert" in end.err


def test_quiet_prints_the_name_and_its_digest(puller: Puller, source: str, tmp_path: Path) -> None:
    end = puller("copy", source, f"oci:{tmp_path}/images", "-q")
    assert (end.out, end.err) == (f"oci:{tmp_path}/images:1  {BOTH.digest}\n", "")


def test_json_tells_events(puller: Puller, source: str, tmp_path: Path) -> None:
    end = puller("copy", source, f"oci:{tmp_path}/images", "--json")
    events = [json.loads(line) for line in end.out.splitlines()]
    assert events[-1]["event"] == "copied"
    assert events[-1]["report"]["carried"]["root"] == BOTH.digest
    assert sum(one["event"] == "delivered" for one in events) >= 5


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("nosuchkind:x:y:z", "oci:/x"), 2, "invalid"),
        (("docker-daemon:x", "oci:/x"), 2, "docker save"),
        (("app:1", "oci:/x:not/a/tag"), 2, "plain tags"),
        (("app:1", "oci:/x", "--all-tags"), 2, "--all-tags"),
        (("app", "oci:/x:1", "--all-tags"), 2, "--all-tags"),
        (("app:1", "oci:/x", "--sparse"), 2, "--platform"),
        (("app:1", "oci:/x", "--platform", "linux/amd64", "--all-platforms"), 2, "exclude"),
        (("oci:/nowhere/at/all", "oci:/x"), 1, "no OCI image layout"),
        (("store:nothing:1", "oci:/x"), 1, "puller images"),
    ],
)
def test_wrong_words_are_told_before_anything_is_done(
    puller: Puller, words: tuple[str, ...], code: int, told: str
) -> None:
    end = puller("copy", *words)
    assert end.code == code
    assert told in end.err
    assert not Path("/x").exists()


def test_an_archive_of_dockers_holds_no_index_but_an_image_of_it(puller: Puller, source: str, tmp_path: Path) -> None:
    words = "copy", source, f"docker-archive:{tmp_path}/a.tar"
    end = puller(*words)
    assert (end.code, (tmp_path / "a.tar").exists()) == (1, False)
    assert "--platform linux/amd64" in end.err
    assert puller(*words, "--platform", "/".join(PLATFORM)).code == 0
    assert (tmp_path / "a.tar").exists()


def test_an_archive_of_dockers_has_no_place_for_referrers(puller: Puller, source: str, tmp_path: Path) -> None:
    words = "copy", source, f"docker-archive:{tmp_path}/a.tar", "--platform", "/".join(PLATFORM), "--single"
    end = puller(*words, "--referrers")
    assert (end.code, (tmp_path / "a.tar").exists()) == (1, False)
    assert "oci-archive:" in end.err


def test_an_archive_that_is_there_is_not_overwritten(puller: Puller, source: str, tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_text("mine")
    end = puller("copy", source, f"oci-archive:{tmp_path}/a.tar")
    assert end.code == 2
    assert (tmp_path / "a.tar").read_text() == "mine"


def test_help_says_the_forms(puller: Puller) -> None:
    out = puller("copy", "--help").out
    for form in ("docker://REF", "oci:DIR[:TAG]", "oci-archive:FILE[:TAG]", "docker-archive:FILE[:REF]", "store:REF"):
        assert form in out
