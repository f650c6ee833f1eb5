"""`puller pull`: what is printed where, what the report says, and how it ends."""

import json
import socket
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from testregistry import TestRegistry, faults, images
from tests.cli.conftest import Puller
from tests.cli.picture import BASE, FOREIGN, IMAGE, PLATFORM, TOP
from tests.cli.serving import serving
from tests.conftest import ROOT

pytestmark = pytest.mark.slow  # many small tests: for `make test`


def keys_of(value: Any, path: str = "") -> Iterable[str]:
    """Every key of a JSON value by its path; of a list its members together."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield f"{path}.{key}"
            yield from keys_of(inner, f"{path}.{key}")
    elif isinstance(value, list):
        for inner in value:
            yield from keys_of(inner, f"{path}[]")


def test_a_pull_prints_its_result_on_stdout_and_all_else_on_stderr(puller: Puller, registry: TestRegistry) -> None:
    registry.add("app:1", IMAGE)
    end = puller("pull", registry.name("app:1"))
    (result,) = end.out.splitlines()
    assert end.code == 0
    assert result.startswith(f"pulled {registry.name('app:1')}  {IMAGE.digest}  2 layers, ")
    lines = end.err.splitlines()
    assert lines[0] == f"{registry.name('app:1')}   {'/'.join(PLATFORM)}   {IMAGE.digest}"
    assert lines[1].split()[:2] == ["config", IMAGE.config.digest[7:19]]
    assert {line.split()[2] for line in lines[2:]} == {layer.digest[7:19] for layer in (BASE, TOP)}
    assert all(line.endswith("digest ✓ diff ID ✓ tarsum ✓") for line in lines[2:])


def test_a_first_word_that_is_no_verb_is_pulled(puller: Puller, registry: TestRegistry) -> None:
    registry.add("app:1", IMAGE)
    assert puller(registry.name("app:1")).out.startswith("pulled ")


def test_options_may_come_before_the_reference(puller: Puller, registry: TestRegistry, tmp_path: Path) -> None:
    registry.add("app:1", IMAGE)
    assert puller("--store", str(tmp_path / "other"), registry.name("app:1")).code == 0
    assert (tmp_path / "other" / "oci-layout").is_file()


def test_a_second_pull_says_that_all_was_there(puller: Puller, registry: TestRegistry) -> None:
    registry.add("app:1", IMAGE)
    puller(registry.name("app:1"))
    end = puller(registry.name("app:1"))
    assert " reused, " in end.out
    assert " fetched" not in end.out
    assert end.err.count("  reused  ") == 3


def test_quiet_prints_name_and_digest_and_nothing_else(puller: Puller, registry: TestRegistry) -> None:
    registry.add("app:1", IMAGE)
    end = puller("pull", "--quiet", registry.name("app:1"))
    assert (end.code, end.err) == (0, "")
    assert end.out == f"{registry.name('app:1')}  {IMAGE.digest}\n"


def test_quiet_still_says_what_failed(puller: Puller, registry: TestRegistry) -> None:
    end = puller("pull", "--quiet", registry.name("app:1"))
    assert (end.code, end.out) == (1, "")
    assert end.err.startswith("puller: manifest 1: not found  [NotFound]\n")
    assert "Is the name right?" in end.err


def test_json_prints_one_event_a_line_from_first_to_last(puller: Puller, registry: TestRegistry) -> None:
    registry.add("app:1", IMAGE)
    end = puller("pull", "--json", registry.name("app:1"))
    events = [json.loads(line) for line in end.out.splitlines()]
    names = [event["event"] for event in events]
    assert (end.code, end.err) == (0, "")
    assert (names[0], names[-1]) == ("started", "pulled")
    assert {"resolved", "planned", "advanced", "verified"} <= set(names)
    assert names.index("resolved") < names.index("planned") < len(names) - 1
    assert events[-1]["report"]["digest"] == IMAGE.digest
    verified = [event["blob"]["digest"] for event in events if event["event"] == "verified"]
    assert sorted(verified) == sorted([IMAGE.digest, IMAGE.config.digest, BASE.digest, TOP.digest])


def test_json_tells_a_failure_as_an_event_too(puller: Puller, registry: TestRegistry) -> None:
    end = puller("pull", "--json", registry.name("app:1"))
    last = json.loads(end.out.splitlines()[-1])
    assert end.code == 1
    assert (last["event"], last["report"]["error"]["error"]) == ("failed", "NotFound")


def test_the_report_of_a_pull_has_exactly_the_documented_keys(
    puller: Puller, registry: TestRegistry, tmp_path: Path
) -> None:
    text = (ROOT / "docs" / "report.md").read_text("utf-8")
    documented = json.loads(text.partition("```json\n")[2].partition("```")[0])
    # A device that nobody asked for: something that a tree does not show.
    registry.add("app:1", images.image(images.layer({"dev/null": images.Device("c", 1, 3)})))
    registry.add("old:1", images.schema1(images.layer({"dev/null": images.Device("c", 1, 3)})))
    file = tmp_path / "report.json"
    assert puller("pull", "--report", str(file), registry.name("app:1"), registry.name("old:1")).code == 0
    report = json.loads(file.read_text())
    documented_keys = set(keys_of(documented))
    assert set(keys_of(report)) == documented_keys
    assert [path.name for path in tmp_path.iterdir() if "report" in path.name] == ["report.json"]


def test_the_report_adds_up(puller: Puller, registry: TestRegistry, tmp_path: Path) -> None:
    registry.add("app:1", IMAGE)
    puller("pull", "--quiet", "--report", str(tmp_path / "r"), registry.name("app:1"))
    (pulled,) = json.loads((tmp_path / "r").read_text())["pulls"]
    assert (pulled["reference"], pulled["digest"], pulled["error"]) == (registry.name("app:1"), IMAGE.digest, None)
    assert all(blob["size"] == blob["fetched"] + blob["resumed"] + blob["reused"] for blob in pulled["blobs"])
    assert pulled["totals"]["fetched"] == sum(blob["size"] for blob in pulled["blobs"])
    assert all(check["passed"] for blob in pulled["blobs"] for check in blob["checks"])


def test_the_report_of_a_failure_says_what_why_and_where(puller: Puller, tmp_path: Path) -> None:
    with serving(faults=[faults.flip(BASE.digest, at=-1, times=None)]) as registry:
        registry.add("app:1", IMAGE)
        end = puller("pull", "--report", str(tmp_path / "r"), registry.name("app:1"))
        (pulled,) = json.loads((tmp_path / "r").read_text())["pulls"]
        error = pulled["error"]
        assert end.code == 3
        assert (error["error"], error["wanted"]) == ("DigestMismatch", BASE.digest)
        assert error["got"].startswith("sha256:")
        assert (error["reference"], error["digest"]) == (registry.name("app:1"), BASE.digest)
        assert error["hint"].startswith(f"{registry.host} served other bytes than were promised")
        assert pulled["digest"] == IMAGE.digest
        assert IMAGE.config.digest in {blob["digest"] for blob in pulled["blobs"]}


def test_an_error_names_what_is_needed_to_act_on_it(puller: Puller, registry: TestRegistry) -> None:
    registry.add("app:1", IMAGE)
    registry.corrupt("app", TOP.digest, bytes(TOP.size))
    end = puller("pull", registry.name("app:1"))
    facts = dict(line.split(None, 1) for line in end.err.splitlines() if line.startswith("  "))
    assert "[DigestMismatch]" in end.err
    assert facts["reference"] == registry.name("app:1")
    assert facts["digest"] == TOP.digest == facts["wanted"]
    assert facts["got"] != facts["wanted"]
    assert facts["phase"] == "layer 2"


def test_several_references_are_pulled_and_every_line_says_whose_it_is(puller: Puller, registry: TestRegistry) -> None:
    registry.add("one:1", images.image(BASE, platform=PLATFORM))
    registry.add("two:1", images.image(TOP, platform=PLATFORM))
    end = puller(registry.name("one:1"), registry.name("two:1"))
    assert sorted(line.split()[1] for line in end.out.splitlines()) == [registry.name("one:1"), registry.name("two:1")]
    assert f"{registry.name('one:1')}  layer" in end.err
    assert f"{registry.name('two:1')}  layer" in end.err


def test_a_failure_does_not_stop_the_others_and_decides_the_exit_code(puller: Puller, registry: TestRegistry) -> None:
    registry.add("app:1", IMAGE)
    end = puller(registry.name("gone:1"), registry.name("app:1"))
    assert end.code == 1
    assert end.out.startswith(f"pulled {registry.name('app:1')}")


def test_wrong_bytes_outrank_what_could_not_be_had(puller: Puller, registry: TestRegistry) -> None:
    registry.add("bad:1", IMAGE)
    registry.corrupt("bad", BASE.digest, bytes(BASE.size))
    assert puller(registry.name("gone:1"), registry.name("bad:1")).code == 3


@pytest.mark.parametrize(
    "layer",
    [images.blob_layer(b"\x1f\x8b broken gzip", BASE.diff_id), images.blob_layer(BASE.raw, TOP.diff_id)],
    ids=["unreadable layer", "wrong diff ID"],
)
def test_a_layer_that_cannot_be_what_it_should_ends_with_exit_code_3(
    puller: Puller, registry: TestRegistry, layer: images.Layer
) -> None:
    registry.add("app:1", images.image(layer, platform=PLATFORM))
    assert puller(registry.name("app:1")).code == 3


def test_the_blobs_of_an_artifact_are_not_called_layers(puller: Puller, registry: TestRegistry) -> None:
    registry.add("app:1", images.artifact(images.blob(b"x", "text/plain"), images.blob(b"y", "text/plain")))
    end = puller(registry.name("app:1"))
    assert "  2 blobs, " in end.out
    assert "layer" not in end.out


def test_a_registry_that_is_not_there_is_told_with_a_way_out(puller: Puller) -> None:
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))  # bound and not listening: nobody else can take the port meanwhile
        end = puller("digest", f"127.0.0.1:{unheard.getsockname()[1]}/app")
    assert end.code == 1
    assert "cannot connect" in end.err
    assert "Is the address right" in end.err


def test_what_cannot_be_pulled_at_all_ends_with_exit_code_1(puller: Puller, registry: TestRegistry) -> None:
    registry.add("app:1", images.index(FOREIGN))
    assert puller(registry.name("app:1")).code == 1


def test_the_same_reference_twice_is_pulled_once(puller: Puller, registry: TestRegistry) -> None:
    registry.add("app:latest", IMAGE)
    end = puller(registry.name("app:latest"), registry.name("app:latest"))
    assert len(end.out.splitlines()) == 1


def test_all_tags_pulls_every_tag_of_a_repository(puller: Puller, registry: TestRegistry) -> None:
    for tag in ("1", "2", "3"):
        registry.add(f"app:{tag}", images.image(BASE, images.layer({tag: b""}), platform=PLATFORM))
    end = puller("pull", "--all-tags", registry.name("app"))
    assert end.code == 0
    assert sorted(line.split()[1] for line in end.out.splitlines()) == [registry.name(f"app:{t}") for t in "123"]
    assert registry.journal.gets(BASE.digest) == 1


def test_all_tags_of_a_repository_that_is_not_there_is_an_error(puller: Puller, registry: TestRegistry) -> None:
    end = puller("pull", "--all-tags", registry.name("gone"))
    assert (end.code, end.out) == (1, "")
    assert "[NotFound]" in end.err


def test_all_tags_of_a_repository_that_is_not_there_is_told_to_programs_too(
    puller: Puller, registry: TestRegistry, tmp_path: Path
) -> None:
    end = puller("pull", "--all-tags", "--json", "--report", str(tmp_path / "r"), registry.name("gone"))
    (pulled,) = json.loads((tmp_path / "r").read_text())["pulls"]
    last = json.loads(end.out.splitlines()[-1])
    assert end.code == 1
    assert (pulled["reference"], pulled["error"]["error"]) == (registry.name("gone"), "NotFound")
    assert (last["event"], last["report"]["error"]["error"]) == ("failed", "NotFound")


def test_all_tags_wants_a_repository(puller: Puller, registry: TestRegistry) -> None:
    assert puller("pull", "--all-tags", registry.name("app:1")).code == 2


def test_the_platform_can_be_chosen(puller: Puller, registry: TestRegistry) -> None:
    registry.add("app:1", images.index(IMAGE, FOREIGN))
    end = puller(registry.name("app:1"), "--platform", "linux/s390x", "--quiet")
    assert end.code == 0
    assert registry.journal.gets(FOREIGN.digest) == 1
    assert registry.journal.gets(IMAGE.digest) == 0


def test_without_platform_this_machines_is_taken(puller: Puller, registry: TestRegistry) -> None:
    registry.add("app:1", images.index(FOREIGN, IMAGE))
    puller(registry.name("app:1"))
    assert registry.journal.gets(FOREIGN.digest) == 0
    assert registry.journal.gets(IMAGE.digest) == 1


def test_all_platforms_are_pulled_when_asked_for(puller: Puller, registry: TestRegistry) -> None:
    registry.add("app:1", images.index(IMAGE, FOREIGN))
    end = puller(registry.name("app:1"), "--all-platforms")
    assert end.code == 0
    assert f"{'/'.join(PLATFORM)}, linux/s390x" in end.err.splitlines()[0]


@pytest.mark.parametrize(
    ("option", "shown"), [("--no-tarsum", "digest ✓ diff ID ✓"), ("--digest-only", "digest ✓")], ids=str
)
def test_less_proof_is_shown_as_less(puller: Puller, registry: TestRegistry, option: str, shown: str) -> None:
    registry.add("app:1", IMAGE)
    end = puller(registry.name("app:1"), option)
    layers = [line for line in end.err.splitlines() if line.startswith("layer")]
    assert len(layers) == 2
    assert all(line.endswith(f"  {shown}") for line in layers)


def test_a_layer_without_tarsum_says_why(puller: Puller, registry: TestRegistry) -> None:
    layer = images.raw_layer(b"no tar" * 1000)
    registry.add("app:1", images.image(layer, platform=PLATFORM))
    end = puller(registry.name("app:1"))
    (line,) = (line for line in end.err.splitlines() if line.startswith("layer"))
    assert "digest ✓ diff ID ✓ tarsum: none (" in line


def test_a_pinned_reference_says_that_the_tag_beside_it_was_not_asked_for(
    puller: Puller, registry: TestRegistry
) -> None:
    registry.add("app", IMAGE)
    end = puller(f"{registry.name('app:1')}@{IMAGE.digest}")
    assert end.code == 0
    assert "warning: the digest decides: tag 1 was neither asked for nor moved" in end.err


def test_retries_are_told_with_the_reason(puller: Puller) -> None:
    busy = faults.status(503, headers={"Retry-After": "0"}, kind="manifest")
    with serving(faults=[busy]) as registry:
        registry.add("app:1", IMAGE)
        end = puller(registry.name("app:1"))
        assert end.code == 0
        assert f"retrying: manifest 1 at {registry.host}: manifest 1: the server fails" in end.err
