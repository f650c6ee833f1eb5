"""`puller sync` where pulls are counted: what is not new costs none, and a reserve is left."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from testregistry import Quota, TestRegistry, serve
from tests.cli.conftest import Puller
from tests.cli.mirrored import image
from tests.cli.serving import in_a_thread

pytestmark = pytest.mark.slow  # many small tests: for `make test`

HOUR = 3600.0


@pytest.fixture
def quota() -> Quota:
    return Quota(100, HOUR, used=40)


@pytest.fixture
def hub(quota: Quota) -> Iterator[TestRegistry]:
    """Twenty images where sixty pulls are left."""
    with in_a_thread(lambda: serve(quota=quota)) as registry:
        for number in range(20):
            registry.add(f"app:{number}", image(f"number {number}"))
        yield registry


def written(folder: Path, hub: TestRegistry, **more: Any) -> str:
    file = folder / "mirrors.yml"
    mirror = {"from": f"{hub.host}/app", "to": f"oci:{folder}/app", **more}
    file.write_text(json.dumps({"puller": 1, "mirrors": [mirror]}))
    return str(file)


def test_an_image_is_one_pull_and_one_that_is_unchanged_none(
    puller: Puller, hub: TestRegistry, quota: Quota, tmp_path: Path
) -> None:
    file = written(tmp_path, hub)
    assert puller("sync", file).code == 0
    assert quota.left() == 40
    assert puller("sync", file).code == 0
    assert quota.left() == 40


def test_a_reserve_is_left_and_the_rest_is_told(
    puller: Puller, hub: TestRegistry, quota: Quota, tmp_path: Path
) -> None:
    file = written(tmp_path, hub, reserve=50)
    report = tmp_path / "report.json"
    end = puller("sync", file, "--report", str(report))
    assert end.code == 1
    items = json.loads(report.read_text())["items"]
    left = [item for item in items if item["error"]]
    assert {item["error"]["error"] for item in left} == {"RateLimited"}
    assert 48 <= quota.left() <= 52
    assert len(items) - len(left) == 60 - quota.left()


def test_what_the_plan_forecasts_is_what_the_run_takes(
    puller: Puller, hub: TestRegistry, quota: Quota, tmp_path: Path
) -> None:
    file = written(tmp_path, hub, tags=["1", "2", "3"])
    plan = json.loads(puller("plan", file, "--json").out)
    assert plan["forecast"]["pulls"] == {hub.host: 3}
    before = quota.left()
    assert puller("sync", file).code == 0
    assert before - quota.left() == 3
