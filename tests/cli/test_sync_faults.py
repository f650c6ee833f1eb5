"""`puller sync` and sources that fail in every way: nothing is lost, nothing goes that should not, the report says it.

Everything runs with `prune` as wide as it can be set, and with a tag at hand that would go if all were well.
"""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from testregistry import faults
from testregistry.fault import Fault
from testregistry.journal import Request
from tests.cli.conftest import Form, Puller
from tests.cli.mirrored import SHARED, Mirrored, image, mirrored, stock

pytestmark = pytest.mark.slow  # many small tests: for `make test`

WIDE: dict[str, Any] = {"enabled": True, "max": "100%", "keep": 0}
ALL = {"1.0", "2.0", "latest", "old"}


@pytest.fixture
def world(puller: Puller, tmp_path: Path, form: Form) -> Iterator[Mirrored]:
    """`app` and `web` in step; after that `old` is gone from both sources, so that it would be pruned."""
    with mirrored(puller, tmp_path, form) as made:
        stock(made.up, "app", "web")
        for repository in ("app", "web"):
            made.up.add(f"{repository}:old", image(f"{repository} 0"))
        made.write("app", "web", prune=WIDE)
        assert made.sync().code == 0
        for repository in ("app", "web"):
            made.up.storage.untag(repository, "old")
        yield made


def errors(world: Mirrored) -> dict[str, str]:
    """The kinds of what failed in the last run: by tag of `app`, or by source where it is of no tag."""
    report = world.report()
    found = {item["tag"]: item["error"]["error"] for item in report["items"] if item["error"]}
    return found | {source.partition("/")[2]: error["error"] for source, error in report["problems"]}


def assert_all_is_well_again(world: Mirrored) -> None:
    """Without the fault the next run ends well, and only what should goes."""
    world.up.faults.clear()
    end = world.sync()
    assert end.code == 0, end.err
    for repository in ("app", "web"):
        assert set(world.there(repository)) == ALL - {"old"}
    assert world.report()["well"]


def test_without_a_fault_the_tag_that_is_gone_goes(world: Mirrored) -> None:
    assert_all_is_well_again(world)
    assert [item["action"] for item in world.report()["items"] if item["tag"] == "old"] == ["pruned", "pruned"]


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (faults.status(404, kind="tags", repository="app", times=None), "NotFound"),
        (faults.status(404, repository="app", times=None), "NotFound"),
        (faults.status(401, kind="tags", repository="app", times=None), "Unauthorized"),
        (faults.status(500, kind="tags", repository="app", times=None), "Unavailable"),
        (faults.drop(kind="tags", repository="app", times=None), "ConnectionLost"),
        (faults.cut(kind="tags", repository="app", after=9, times=None), "ConnectionLost"),
        (faults.body(None, b'{"tags": ["1.0", "2.', kind="tags", repository="app", times=None), "ProtocolViolation"),
    ],
    ids=["404", "repository-404", "401", "500", "dropped", "cut", "no-json"],
)
def test_h3_r13_where_a_list_cannot_be_had_nothing_goes_and_the_others_are_served(
    world: Mirrored, fault: Fault, kind: str
) -> None:
    world.up.add("web:new", image("web 3"))
    world.up.faults.append(fault)
    end = world.sync("--max-wait", "1s")
    assert end.code == 1
    assert errors(world) == {"app": kind}
    assert world.there("app") == {**world.there("app"), "1.0": image("app 1").digest, "old": image("app 0").digest}
    assert set(world.there("app")) == ALL
    assert set(world.there("web")) == {"1.0", "2.0", "latest", "new"}  # a whole list, so that `old` goes
    assert world.actions("app") == {}  # nobody knows which of them are wanted
    assert f"failed    {world.up.host}/app: " in end.err
    world.up.faults.clear()
    assert world.sync().code == 0
    assert set(world.there("app")) == ALL - {"old"}


def test_h3_an_empty_list_lets_nothing_go_and_nothing_is_fetched_again_after_it(world: Mirrored) -> None:
    world.up.faults.append(faults.empty_list(repository="app", times=None))
    end = world.sync()
    assert set(world.there("app")) == ALL
    assert f"{world.up.host}/app has no tags" in world.report()["warnings"]
    assert world.actions("app") == dict.fromkeys(sorted(ALL), "kept")
    assert "held back from pruning" in end.err
    world.up.faults.clear()
    assert world.sync().code == 0
    assert world.asked("GET", "manifest") == world.asked("GET", "blob") == 0


def test_h3_half_a_list_lets_nothing_go_beyond_the_guard_that_is_set_unasked(world: Mirrored) -> None:
    world.write("app", "web", prune={"enabled": True})
    world.up.faults.append(faults.half_list(repository="app", times=None))
    assert world.sync().code == 0
    assert set(world.there("app")) == ALL
    assert {item["tag"] for item in world.report()["items"] if item["action"] == "kept"} >= {"2.0", "latest", "old"} - {
        item["tag"] for item in world.report()["items"] if item["action"] == "unchanged"
    }
    world.up.faults.clear()
    assert world.sync().code == 0
    assert world.asked("GET", "blob") == 0


@pytest.mark.parametrize(
    ("code", "kind"),
    [(500, "Unavailable"), (404, "NotFound"), (403, "Unauthorized")],
)
def test_h3_r13_a_tag_that_cannot_be_looked_up_fails_alone_and_nothing_goes(
    world: Mirrored, code: int, kind: str
) -> None:
    world.up.add("app:3.0", image("app 3"))
    world.up.faults.append(faults.status(code, kind="manifest", path="app/manifests/1.0$", times=None))
    end = world.sync("--max-wait", "1s")
    assert end.code == 1
    assert errors(world) == {"1.0": kind}
    assert world.actions("app") == {
        "1.0": "failed", "2.0": "unchanged", "3.0": "new", "latest": "unchanged", "old": "kept",
    }  # fmt: skip
    assert set(world.there("app")) == {*ALL, "3.0"}
    assert set(world.there("web")) == ALL - {"old"}


@pytest.mark.parametrize(
    ("part", "fault", "kind"),
    [
        ("layer", faults.status(500, times=None), "Unavailable"),
        ("manifest", faults.status(404, times=None), "NotFound"),
        ("config", faults.status(404, times=None), "NotFound"),
        ("layer", faults.status(404, times=None), "NotFound"),
        ("manifest", faults.flip(at=30, times=None), "DigestMismatch"),
        ("layer", faults.flip(at=30, times=None), "DigestMismatch"),
        ("layer", faults.body(None, b"something else", times=None), "SizeMismatch"),
        ("layer", faults.content_encoding(None, "gzip", times=None), "ProtocolViolation"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_h3_r13_an_image_that_cannot_be_had_leaves_its_tag_as_it_was_and_nothing_goes(
    world: Mirrored, part: str, fault: Fault, kind: str
) -> None:
    new = image("app 1, moved")
    world.up.add("app:1.0", new)
    digest = {"manifest": new.digest, "config": new.config.digest, "layer": new.layers[1].digest}[part]
    world.up.faults.append(narrowed(fault, digest))
    end = world.sync("--max-wait", "1s")
    assert end.code == (3 if kind in ("DigestMismatch", "SizeMismatch") else 1)
    assert errors(world).keys() == {"1.0"}
    assert world.there("app")["1.0"] == image("app 1").digest
    assert set(world.there("app")) == ALL
    assert world.actions("app")["old"] == "kept"
    assert set(world.there("web")) == ALL - {"old"}
    assert_all_is_well_again(world)
    assert world.there("app")["1.0"] == new.digest


def narrowed(fault: Fault, digest: str) -> Fault:
    """The same fault, met by GETs of one digest alone."""
    return replace(fault, match=replace(fault.match, digest=digest, method="GET", path=digest))


@pytest.mark.parametrize("kind", ["tags", "manifest", "blob"])
@pytest.mark.parametrize(
    ("code", "headers"),
    [(429, {"Retry-After": "1"}), (429, {}), (503, {}), (500, {})],
    ids=["429-1s", "429", "503", "500"],
)
def test_r8_what_fails_now_and_then_is_asked_for_again_and_nobody_notices(
    world: Mirrored, kind: Any, code: int, headers: dict[str, str]
) -> None:
    world.up.add("app:3.0", image("app 3"))
    fault = faults.status(code, kind=kind, headers=headers, times=2)
    world.up.faults.append(fault)
    end = world.sync()
    assert end.code == 0, end.err
    assert world.up.faults.met(fault) == 2
    assert world.there("app")["3.0"] == image("app 3").digest
    assert set(world.there("app")) == {*ALL, "3.0"} - {"old"}


@pytest.mark.parametrize("path", ["app/tags", "app/manifests/1.0$", ""], ids=["list", "tag", "all"])
@pytest.mark.parametrize("headers", [{}, {"Retry-After": "3600"}], ids=["unsaid", "an-hour"])
def test_h3_r8_where_a_registry_wants_more_patience_than_is_granted_nothing_goes(
    world: Mirrored, path: str, headers: dict[str, str], home: Path
) -> None:
    world.up.faults.append(faults.status(429, path=path, headers=headers, times=None))
    end = world.sync("--max-wait", "1s")
    assert end.code == 1
    assert "RateLimited" in errors(world).values()
    assert set(errors(world).values()) == {"RateLimited"}
    assert set(world.there("app")) == ALL
    assert len(world.up.journal) < 40
    if headers:  # which is remembered
        world.sync("--max-wait", "1s")
        assert len(world.up.journal) == 0
        assert set(world.there("app")) == ALL
    shutil.rmtree(home / ".local/state/puller/hosts", ignore_errors=True)
    assert_all_is_well_again(world)


def test_c3_a_tag_that_moves_and_whose_image_vanishes_in_mid_run_leaves_what_was_there(world: Mirrored) -> None:
    lost, new = image("app 1, lost"), image("app 1, new")
    world.up.add("app:1.0", lost)
    world.up.add("app:next", new)

    def move(request: Request) -> None:
        if (request.method, request.reference, request.repository) == ("HEAD", "1.0", "app"):
            world.up.tag("app:1.0", new.digest)
            world.up.storage.drop_manifest("app", lost.digest)

    world.up.on_answer.append(move)
    end = world.sync()
    assert end.code == 1
    assert errors(world) == {"1.0": "NotFound"}
    assert world.there("app")["1.0"] == image("app 1").digest
    assert "old" in world.there("app")
    world.up.on_answer.clear()
    assert world.sync().code == 0
    assert world.there("app")["1.0"] == new.digest
    assert "old" not in world.there("app")


def test_h3_a_tag_that_vanishes_after_it_was_listed_stays_at_the_target_until_a_list_is_without_it(
    world: Mirrored,
) -> None:
    def vanish(request: Request) -> None:
        if request.kind == "tags" and request.repository == "app":
            world.up.storage.untag("app", "latest")

    world.up.on_answer.append(vanish)
    assert world.sync().code == 1
    assert errors(world) == {"latest": "NotFound"}
    assert set(world.there("app")) == ALL
    world.up.on_answer.clear()
    assert world.sync().code == 0
    assert set(world.there("app")) == {"1.0", "2.0"}
    assert world.actions("app") == {"1.0": "unchanged", "2.0": "unchanged", "latest": "pruned", "old": "pruned"}


def test_n6_a_slow_drip_is_waited_for_as_long_as_it_keeps_a_pace(world: Mirrored) -> None:
    new = image("app 3")
    world.up.add("app:3.0", new)
    world.up.faults.append(faults.drip(new.config.digest, rate=400, times=None))
    end = world.sync()
    assert end.code == 0, end.err
    assert world.there("app")["3.0"] == new.digest


@pytest.mark.parametrize("after", [0, 10])
def test_n1_lines_that_are_cut_are_gone_on_with(world: Mirrored, after: int) -> None:
    world.up.add("app:3.0", image("app 3"))
    world.up.faults.append(faults.cut(kind="blob", after=after, times=2), faults.reset(kind="manifest", after=after))
    end = world.sync()
    assert end.code == 0, end.err
    assert world.there("app")["3.0"] == image("app 3").digest
    assert world.up.journal.gets(SHARED.digest) == 0
