"""`puller sync`, `plan` and `apply`: files of others, other targets, and what is refused before it begins."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import Puller
from tests.cli.mirrored import Mirrored, image, index, mirrored

pytestmark = pytest.mark.slow  # many small tests: for `make test`


@pytest.fixture
def world(puller: Puller, tmp_path: Path) -> Iterator[Mirrored]:
    with mirrored(puller, tmp_path, "oci") as made:
        made.up.add("team/app:1.0", image("app"))
        made.up.add("team/app:latest", index("app"))
        made.write("team/app")
        yield made


@pytest.mark.parametrize("verb", ["sync", "plan", "apply"])
def test_json_and_quiet_exclude_each_other(puller: Puller, verb: str) -> None:
    end = puller(verb, "file", "--json", "--quiet")
    assert end.code == 2
    assert "exclude each other" in end.err


def test_a_dry_run_makes_no_report(puller: Puller) -> None:
    assert puller("sync", "file", "--dry-run", "--report", "r.json").code == 2


@pytest.mark.parametrize("verb", ["sync", "plan", "apply"])
def test_a_file_that_is_not_there_is_told(puller: Puller, tmp_path: Path, verb: str) -> None:
    end = puller(verb, str(tmp_path / "none.yml"))
    assert end.code == 2
    assert "the file cannot be read" in end.err


def test_a_warning_names_the_mirror_that_it_is_about_once(world: Mirrored) -> None:
    world.write("team/app", tags={"allow": ["9.*"]})
    said = f"warning: {world.up.host}/team/app: no tag is allowed by 9.*"
    assert said in world.sync().err.splitlines()


def test_a_report_that_could_not_be_written_is_refused_before_anything_is_done(world: Mirrored) -> None:
    end = world.puller("sync", str(world.file), "--report", "/no/such/folder/r.json")
    assert end.code == 2
    assert len(world.up.journal) == 0


@pytest.mark.parametrize("to", ["dir:m", "./m", "m", "oci:m:1"])
def test_what_leads_nowhere_is_no_place_for_the_images_of_a_file_of_skopeo(world: Mirrored, to: str) -> None:
    world.file.write_text(f"{world.up.host}:\n  tls-verify: false\n  images:\n    team/app: ['1.0']\n", "utf-8")
    end = world.sync("--to", to)
    assert end.code == 2
    assert "--to" in end.err
    assert len(world.up.journal) == 0


def test_a_directory_that_no_word_could_name_is_not_made(world: Mirrored, tmp_path: Path) -> None:
    world.file.write_text(f"{world.up.host}:\n  tls-verify: false\n  images:\n    team/app: ['1.0']\n", "utf-8")
    end = world.sync("--to", f"oci:{tmp_path}/m", "--scoped")
    assert end.code == 2
    assert "a colon in its path" in end.err
    assert not (tmp_path / "m").exists()


def test_a_file_of_skopeo_wants_a_place_and_plans_of_it_can_be_applied(world: Mirrored, tmp_path: Path) -> None:
    world.file.write_text(f"{world.up.host}:\n  tls-verify: false\n  images:\n    team/app: ['1.0']\n", "utf-8")
    assert world.sync().code == 2
    plan = str(tmp_path / "plan")
    end = world.puller("plan", str(world.file), "--to", f"oci:{tmp_path}/m", "-o", plan)
    assert end.code == 0, end.err
    end = world.puller("apply", plan)
    assert end.code == 0, end.err
    assert (tmp_path / "m" / "app" / "index.json").exists()
    end = world.sync("--to", f"oci:{tmp_path}/m")
    assert world.actions() == {"1.0": "unchanged"}


def test_a_file_of_skopeo_can_be_scoped(world: Mirrored) -> None:
    world.file.write_text("up.example:\n  images:\n    team/app: ['1.0']\n", "utf-8")
    end = world.puller("status", str(world.file), "--to", "oci:m", "--scoped")
    assert "up.example/team/app → oci:m/up.example/team/app" in end.out


def test_a_file_of_regsync_is_read_as_it_is(world: Mirrored, tmp_path: Path) -> None:
    text = f"""version: 1
creds: [{{registry: "{world.up.host}", tls: disabled}}]
sync:
  - source: "{world.up.host}/team/app"
    target: "ocidir://{tmp_path}/reg"
    type: repository
    tags: {{allow: ["1.*"]}}
"""
    world.file.write_text(text, "utf-8")
    end = world.sync()
    assert end.code == 0, end.err
    assert world.actions() == {"1.0": "new"}


def test_a_plan_that_was_changed_by_hand_is_refused(world: Mirrored, tmp_path: Path) -> None:
    plan = tmp_path / "plan"
    world.puller("plan", str(world.file), "-o", str(plan))
    plan.write_text(plan.read_text().replace(image("app").digest, index("app").digest))
    end = world.puller("apply", str(plan))
    assert end.code == 2
    assert "the plan was changed after it was made" in end.err


def test_a_star_brings_each_repository_into_a_directory_of_its_own(world: Mirrored, tmp_path: Path) -> None:
    document = {"puller": 1, "mirrors": [{"from": f"{world.up.host}/team/*", "to": f"oci:{tmp_path}/all"}]}
    world.file.write_text(json.dumps(document))
    end = world.sync()
    assert end.code == 0, end.err
    assert (tmp_path / "all" / "app" / "index.json").exists()


def test_a_store_gets_names_that_other_verbs_know(world: Mirrored) -> None:
    document = {"puller": 1, "mirrors": [{"from": f"{world.up.host}/team/app", "to": "store:", "tags": ["1.0"]}]}
    world.file.write_text(json.dumps(document))
    end = world.sync()
    assert end.code == 0, end.err
    assert f"{world.up.host}/team/app" in world.puller("images").out
    world.sync()
    assert world.actions() == {"1.0": "unchanged"}


def test_a_tag_can_be_given_another_name(world: Mirrored) -> None:
    world.write("team/app", tags=["latest"], renamed="stable")
    assert world.sync().code == 0
    assert world.there("team/app") == {"stable": index("app").digest}


def test_a_backup_keeps_what_was_overwritten(world: Mirrored) -> None:
    world.write("team/app", backup="old-{tag}")
    world.sync()
    world.up.add("team/app:1.0", image("app 2"))
    assert world.sync().code == 0
    assert world.there("team/app") == {
        "1.0": image("app 2").digest,
        "old-1.0": image("app").digest,
        "latest": index("app").digest,
    }
    world.sync()
    assert set(world.actions().values()) == {"unchanged"}
