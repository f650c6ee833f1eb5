"""`puller sync` among people who mean it ill: names that climb, lists without end, links planted in its way."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from testregistry import faults, images
from testregistry.answer import Answer
from testregistry.body import BytesBody
from testregistry.journal import Request
from tests.cli.conftest import Puller
from tests.cli.mirrored import Mirrored, image, mirrored
from tests.peak import forget_peak, peak

pytestmark = pytest.mark.slow  # many small tests: for `make test`

WIDE: dict[str, Any] = {"enabled": True, "max": "100%", "keep": 0}
INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
NO_TAGS = ["..", ".", "../../etc/cron.d/x", "a/b", "x" * 129, "a\0b", "a\nb", "1\n", "con ", "-x", "", "ä", "a%2fb"]


@pytest.fixture(params=["registry", "oci"])
def world(puller: Puller, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Mirrored]:
    """`app` and `web` in step; `old` is gone from `web` since, so that it would be pruned there."""
    with mirrored(puller, tmp_path, request.param) as made:
        for repository in ("app", "web"):
            made.up.add(f"{repository}:1", image(repository))
            made.up.add(f"{repository}:old", image(f"{repository} 0"))
        made.write("app", "web", prune=WIDE, referrers=True)
        assert made.sync().code == 0
        made.up.storage.untag("web", "old")
        yield made


def listing(make: Callable[[Request], Answer]) -> Any:
    """A fault: the tags of `app` are listed so."""
    return faults.answer(None, make, kind="tags", repository="app", times=None)


def page(document: object, *headers: tuple[str, str], kind: str = "application/json") -> Answer:
    return Answer(200, (("Content-Type", kind), *headers), BytesBody(json.dumps(document).encode()))


def assert_app_is_as_it_was(world: Mirrored, kind: str) -> None:
    """The list of `app` was refused, nothing went there, and `web` was served."""
    ((source, error),) = world.report()["problems"]
    assert (source, error["error"]) == (f"{world.up.host}/app", kind)
    assert world.there("app") == {"1": image("app").digest, "old": image("app 0").digest}
    assert world.there("web") == {"1": image("web").digest}


def files_in(folder: Path) -> set[Path]:
    """All that is there, but for what this user's programs remember."""
    return {path for path in folder.rglob("*") if "home" not in path.relative_to(folder).parts}


# A5 -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tag", NO_TAGS)
def test_a5_what_is_no_tag_is_never_asked_for_and_never_a_path(world: Mirrored, tmp_path: Path, tag: str) -> None:
    before = files_in(tmp_path)
    world.up.faults.append(listing(lambda request: page({"name": "app", "tags": ["2", tag]})))
    end = world.sync()
    assert end.code == 1
    assert_app_is_as_it_was(world, "ProtocolViolation")
    assert [request.path for request in world.up.journal if "/app/" in request.path] == ["/v2/app/tags/list"]
    assert not [request for request in world.down.journal if "copy/app" in request.path]
    assert all("web" in path.parts for path in files_in(tmp_path) - before)
    assert "\0" not in end.err + end.out


@pytest.mark.parametrize("tag", NO_TAGS)
def test_a5_a_configuration_cannot_name_what_is_no_tag_either(world: Mirrored, tag: str) -> None:
    world.write("app", tags=[tag], prune=WIDE)
    end = world.sync()
    assert end.code in (1, 2)
    assert not [request for request in world.up.journal if request.kind == "manifest"]
    assert world.there("app") == {"1": image("app").digest, "old": image("app 0").digest}


# C20 ------------------------------------------------------------------------------------------------------------------


def referring(entries: list[dict[str, Any]]) -> Any:
    """A fault: this is what refers to everything in `app`."""
    document = {"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}
    return faults.answer(
        None, lambda request: page(document, kind=INDEX), kind="referrers", repository="app", times=None
    )


def test_c20_a_hundred_thousand_referrers_keep_no_image_from_coming(world: Mirrored) -> None:
    size = 5_000

    def endless(request: Request) -> Answer:
        start = int(request.query.partition("page=")[2] or 0)
        entries = [{"mediaType": MANIFEST, "digest": f"sha256:{n:064x}", "size": 9} for n in range(start, start + size)]
        document = {"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}
        link = () if start + size >= 100_000 else (("Link", f'<{request.path}?page={start + size}>; rel="next"'),)
        return page(document, *link, kind=INDEX)

    world.up.add("app:2", image("app 2"))
    world.up.faults.append(faults.answer(None, endless, kind="referrers", repository="app", times=None))
    end = world.sync()
    assert end.code == 0, end.err
    assert set(world.there("app")) == {"1", "2", "old"}
    (item,) = [item for item in world.report()["items"] if item["tag"] == "2"]
    assert any("what refers to" in text and "too many" in text for text in item["carried"]["warnings"])
    assert len(world.up.journal) < 40


def test_c20_a_list_that_leads_round_and_round_comes_to_an_end(world: Mirrored) -> None:
    new, other = image("app 2"), image("app")
    world.up.add("app:2", new)
    entries = [{"mediaType": MANIFEST, "digest": one.digest, "size": len(one.raw)} for one in (new, other)]
    world.up.faults.append(referring(entries))
    end = world.sync()
    assert end.code == 0, end.err
    assert world.there("app")["2"] == new.digest
    (item,) = [item for item in world.report()["items"] if item["tag"] == "2"]
    assert any("and does not: it was not brought" in text for text in item["carried"]["warnings"])
    assert world.up.journal.count(kind="referrers") < 10


def test_c20_a_fallback_tag_that_is_no_index_is_told_and_left(world: Mirrored) -> None:
    new = image("app 2")
    world.up.add("app:2", new)
    world.up.tag(f"app:{new.digest.replace(':', '-')}", image("app").digest)
    world.up.faults.append(faults.status(404, kind="referrers", repository="app", times=None))
    end = world.sync()
    assert end.code == 0, end.err
    assert world.there("app")["2"] == new.digest
    (item,) = [item for item in world.report()["items"] if item["tag"] == "2"]
    assert any("what refers to" in text for text in item["carried"]["warnings"])


def test_c20_what_is_listed_and_cannot_be_had_keeps_no_image_from_coming(world: Mirrored) -> None:
    new = image("app 2")
    world.up.add("app:2", new)
    signature = images.artifact(artifact_type="a/sig", subject=new)
    world.up.add("app", signature)
    lost = {"mediaType": MANIFEST, "digest": f"sha256:{7:064x}", "size": 9}
    real = {"mediaType": MANIFEST, "digest": signature.digest, "size": len(signature.raw)}
    world.up.faults.append(referring([lost, real]))
    end = world.sync()
    assert end.code == 0, end.err
    assert world.up.journal.count("GET", kind="manifest", digest=signature.digest) == 1


# H4 -------------------------------------------------------------------------------------------------------------------


def test_h4_a_list_of_more_than_a_million_tags_is_refused_and_costs_little(world: Mirrored) -> None:
    size = 100_000

    def million(request: Request) -> Answer:
        start = int(request.query.partition("last=")[2] or 0)
        tags = [f"t{number}" for number in range(start, start + size)]
        return page({"name": "app", "tags": tags}, ("Link", f'<{request.path}?last={start + size}>; rel="next"'))

    world.up.faults.append(listing(million))
    started = time.monotonic()
    end = world.sync()
    assert time.monotonic() - started < 60
    assert end.code == 1
    assert_app_is_as_it_was(world, "ProtocolViolation")
    assert world.up.journal.count(kind="tags", repository="app") <= 11


def test_h4_a_million_tags_of_which_one_is_wanted_cost_seconds_and_some_memory(world: Mirrored) -> None:
    size = 99_999

    def million(request: Request) -> Answer:
        start = int(request.query.partition("last=")[2] or 0)
        tags = ["1", *(f"t{number}" for number in range(start + 1, start + size))]
        more = start + size < 10 * size
        link = (("Link", f'<{request.path}?last={start + size}>; rel="next"'),) if more else ()
        return page({"name": "app", "tags": tags}, *link)

    world.write("app", tags={"allow": ["1"]}, prune={"enabled": True})
    world.up.faults.append(listing(million))
    forget_peak()
    before, started = peak(), time.monotonic()
    end = world.sync()
    assert end.code == 0, end.err
    assert world.actions("app") == {"1": "unchanged", "old": "pruned"}
    assert time.monotonic() - started < 60
    assert peak() - before < 600 << 10  # KiB, with what the registry needs to say all that


def test_h4_pages_without_end_come_to_an_end(world: Mirrored) -> None:
    def endless(request: Request) -> Answer:
        number = int(request.query.partition("last=")[2] or 0)
        return page({"name": "app", "tags": []}, ("Link", f'<{request.path}?last={number + 1}>; rel="next"'))

    world.up.faults.append(listing(endless))
    assert world.sync().code == 1
    assert_app_is_as_it_was(world, "ProtocolViolation")
    assert world.up.journal.count(kind="tags", repository="app") < 5


def test_h4_a_page_without_end_is_cut_off(world: Mirrored) -> None:
    world.up.faults.append(faults.endless(kind="tags", repository="app", times=None))
    assert world.sync().code == 1
    assert_app_is_as_it_was(world, "ProtocolViolation")


def test_h4_a_catalog_without_end_is_refused_and_its_mirror_alone_fails(world: Mirrored) -> None:
    size = 100_000

    def endless(request: Request) -> Answer:
        start = int(request.query.partition("last=")[2] or 0)
        names = [f"r{number}" for number in range(start, start + size)]
        return page({"repositories": names}, ("Link", f'<{request.path}?last={start + size}>; rel="next"'))

    document = json.loads(world.file.read_text())
    target = world.target("all/*") if world.form == "registry" else world.target("all")
    document["mirrors"].append({"from": f"{world.up.host}/lib*", "to": target, "prune": WIDE})
    world.file.write_text(json.dumps(document))
    world.up.faults.append(faults.answer(None, endless, kind="catalog", times=None))
    assert world.sync().code == 1
    ((source, error),) = world.report()["problems"]
    assert (source, error["error"]) == (f"{world.up.host}/lib*", "ProtocolViolation")
    assert world.there("web") == {"1": image("web").digest}
