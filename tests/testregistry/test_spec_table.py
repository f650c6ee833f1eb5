"""docs/distribution-spec.md: no requirement of the specification is left out, none is without a test or a reason."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from functools import cache

import pytest

from testregistry import Manner, TestRegistry, images, serve
from testregistry.grammar import digest_of
from tests.conftest import ROOT
from tests.testregistry.asking import OCI_MANIFEST, absolute, ask, with_digest

TABLE = ROOT / "docs/distribution-spec.md"
# How often MUST (with MUST NOT) and SHOULD (with SHOULD NOT) stand in each section of spec.md of 1.1: counted there.
FIGURES = {
    "Legacy Docker support HTTP headers": (0, 1),
    "Legacy Docker support error codes": (0, 1),
    "Requirements": (2, 1),
    "Pulling manifests": (9, 7),
    "Pulling blobs": (5, 3),
    "Checking if content exists in the registry": (2, 2),
    "Push": (2, 0),
    "POST then PUT": (5, 2),
    "Single POST": (4, 2),
    "Pushing a blob in chunks": (14, 4),
    "Mounting a blob from another repository": (2, 2),
    "Pushing Manifests": (8, 8),
    "Pushing Manifests with Subject": (6, 2),
    "Listing Tags": (11, 0),
    "Listing Referrers": (15, 3),
    "Deleting tags": (2, 0),
    "Deleting Manifests": (3, 1),
    "Deleting Blobs": (3, 0),
    "Backwards Compatibility": (2, 0),
    "Unavailable Referrers API": (2, 0),
    "Enabling the Referrers API": (2, 0),
    "Error Codes": (3, 1),
    "Warnings": (4, 2),
    "Endpoints": (0, 0),
}
_ROW = re.compile(
    r"\| (?P<word>MUST|SHOULD)(?: NOT)?(?: ×(?P<times>\d+))? \| (?P<who>.+?) \| (?P<what>.+?) \| (?P<shown>.+) \|"
)
_TEST = re.compile(r"`(tests/[a-z0-9_/]+\.py)::(test_[a-z0-9_]+)`")
_REASON = re.compile(r"\*not applicable:\* \w+")
IMAGE = images.image(images.layer({"a": b"b"}))
BLOB = b"0123456789"
DIGEST = digest_of(BLOB)
ABSENT = digest_of(b"absent")


@dataclass(frozen=True, slots=True)
class Row:
    """One requirement."""

    section: str
    word: str
    times: int
    who: str
    shown: str


@cache
def rows() -> tuple[Row, ...]:
    """Every requirement of the table, in its order; a line of a table that reads as none fails."""
    section, found = "", []
    for line in TABLE.read_text("utf-8").splitlines():
        if line.startswith("## "):
            section = line.removeprefix("## ")
        elif line.startswith("|") and line not in ("| | who | what | shown by |", "|-|-|-|-|"):
            match = _ROW.fullmatch(line)
            assert match is not None, line
            found.append(Row(section, match["word"], int(match["times"] or 1), match["who"], match["shown"]))
    return tuple(found)


@cache
def known_in(path: str) -> frozenset[str]:
    """The names of the tests of a file."""
    tree = ast.parse((ROOT / path).read_text("utf-8"))
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def test_every_section_has_as_many_requirements_as_the_specification() -> None:
    counted = dict.fromkeys(FIGURES, (0, 0))
    for row in rows():
        must, should = counted[row.section]
        counted[row.section] = (must + row.times, should) if row.word == "MUST" else (must, should + row.times)
    assert counted == FIGURES


def test_the_figures_told_are_those_of_the_specification() -> None:
    told = re.findall(r"^## (.+)\n\nMUST (\d+), SHOULD (\d+)$", TABLE.read_text("utf-8"), re.MULTILINE)
    assert {section: (int(must), int(should)) for section, must, should in told} == FIGURES


def test_every_requirement_has_a_test_or_a_reason() -> None:
    assert [row for row in rows() if not _TEST.search(row.shown) and not _REASON.match(row.shown)] == []


def test_every_requirement_binds_somebody() -> None:
    assert {row.who for row in rows()} == {"R", "C", "R C"}


def test_what_binds_the_registry_is_shown_by_its_own_tests() -> None:
    of_the_registry = [row for row in rows() if row.who == "R" and _TEST.search(row.shown)]
    assert [row for row in of_the_registry if "tests/testregistry/" not in row.shown] == []


def test_what_binds_the_client_is_shown_by_tests_of_the_client() -> None:
    of_the_client = [row for row in rows() if row.who == "C" and _TEST.search(row.shown)]
    own = ("tests/registry/", "tests/ops/", "tests/cli/")
    assert [row for row in of_the_client if not any(place in row.shown for place in own)] == []


def test_every_test_named_is_there() -> None:
    named = _TEST.findall(TABLE.read_text("utf-8"))
    assert len(named) > 100
    assert [(path, name) for path, name in named if name not in known_in(path)] == []


async def upload(registry: TestRegistry) -> str:
    began = await ask("POST", f"{registry.url}/v2/app/blobs/uploads/", headers={"Content-Length": "0"})
    location = began.headers["Location"]
    return absolute("", location) if "://" in location else location


# Of "Endpoints": the identifier, method, path, status of success; and a path (or method) of failure with its status.
ENDPOINTS = [
    ("end-1", "GET", "/v2/", 200, "/v1/", 404),
    ("end-2", "GET", f"/v2/app/blobs/{DIGEST}", 200, f"/v2/app/blobs/{ABSENT}", 404),
    ("end-2", "HEAD", f"/v2/app/blobs/{DIGEST}", 200, f"/v2/app/blobs/{ABSENT}", 404),
    ("end-3", "GET", "/v2/app/manifests/1", 200, "/v2/app/manifests/2", 404),
    ("end-3", "HEAD", f"/v2/app/manifests/{IMAGE.digest}", 200, f"/v2/app/manifests/{ABSENT}", 404),
    ("end-4a", "POST", "/v2/app/blobs/uploads/", 202, "/v2/app/blobs/uploads/nobody", 404),
    ("end-4b", "POST", f"/v2/app/blobs/uploads/?digest={DIGEST}", 201, "/v2/app/blobs/uploads/?digest=x", 400),
    ("end-5", "PATCH", "{upload}", 202, "/v2/app/blobs/uploads/nobody", 404),
    ("end-6", "PUT", f"{{upload}}&digest={DIGEST}", 201, f"{{upload}}&digest={ABSENT}", 400),
    ("end-7", "PUT", "/v2/app/manifests/3", 201, "/v2/other/manifests/3", 404),
    ("end-8a", "GET", "/v2/app/tags/list", 200, "/v2/nobody/tags/list", 404),
    ("end-8b", "GET", "/v2/app/tags/list?n=1&last=0", 200, "/v2/nobody/tags/list?n=1&last=0", 404),
    ("end-9", "DELETE", "/v2/app/manifests/1", 202, "/v2/app/manifests/2", 404),
    ("end-10", "DELETE", f"/v2/app/blobs/{DIGEST}", 202, f"/v2/app/blobs/{ABSENT}", 404),
    (
        "end-11",
        "POST",
        f"/v2/new/blobs/uploads/?mount={DIGEST}&from=app",
        201,
        f"/v2/New/blobs/uploads/?mount={DIGEST}",
        400,
    ),
    ("end-12a", "GET", f"/v2/app/referrers/{IMAGE.digest}", 200, "/v2/app/referrers/sha256:x", 400),
    (
        "end-12b",
        "GET",
        f"/v2/app/referrers/{IMAGE.digest}?artifactType=a/b",
        200,
        "/v2/app/referrers/x?artifactType=a/b",
        400,
    ),
    ("end-13", "GET", "{upload}", 204, "/v2/app/blobs/uploads/nobody", 404),
]


@pytest.mark.parametrize(
    ("method", "good", "success", "bad", "failure"),
    [row[1:] for row in ENDPOINTS],
    ids=[f"{r[0]}-{r[1]}" for r in ENDPOINTS],
)
async def test_every_endpoint_of_the_specification_is_asked_and_answers(
    method: str, good: str, success: int, bad: str, failure: int
) -> None:
    async with serve() as registry:
        registry.add("app:1", IMAGE)
        registry.add_blob("app", BLOB)
        statuses = []
        for path in (good, bad):
            where = registry.url + (path.replace("{upload}", await upload(registry)) if "{" in path else path)
            is_manifest = "/manifests/" in path
            headers = {"Content-Type": OCI_MANIFEST} if is_manifest and method == "PUT" else {}
            data = (IMAGE.raw if is_manifest else BLOB) if method in ("PUT", "PATCH", "POST") else None
            statuses.append((await ask(method, where, headers=headers, data=data)).status)
    assert statuses == [success, failure]


def test_the_endpoints_are_all_of_the_specification() -> None:
    assert {row[0] for row in ENDPOINTS} == {
        *(f"end-{number}" for number in (1, 2, 3, 5, 6, 7, 9, 10, 11, 13)),
        *("end-4a", "end-4b", "end-8a", "end-8b", "end-12a", "end-12b"),
    }


async def test_a_registry_of_the_first_edition_is_one_as_well() -> None:
    """Everything that may be off is off; what is left is a registry that pulls and pushes."""
    manner = Manner(deletes=frozenset(), referrers=False, filters=False, single_post=False, mounts=False)
    async with serve(manner=manner) as registry:
        location = await upload(registry)
        assert (await ask("PUT", with_digest(registry.url + location, DIGEST), data=BLOB)).status == 201
        assert (await ask("GET", f"{registry.url}/v2/app/blobs/{DIGEST}")).body == BLOB
