"""The verification report: sums over its blobs, and plain data for JSON."""

import json

from puller.model.digest import Digest
from puller.model.report import SCHEMA, BlobReport, Check, Origin, PullReport

DIGEST = str(Digest.of(b"layer"))
BLOBS = (
    BlobReport("config", DIGEST, "text/x", 10, "fetched", fetched=10),
    BlobReport(
        "layer 1", DIGEST, "text/x", 100, "resumed", fetched=60, resumed=40, origin=Origin("a.io", "cdn.io", 2, (40,))
    ),
    BlobReport("layer 2", DIGEST, "text/x", 7, "reused", reused=7, checks=(Check("digest", DIGEST, DIGEST, True),)),
)
REPORT = PullReport("docker.io/library/app:1", DIGEST, "text/x", ("linux/amd64",), BLOBS, 1.5)


def test_bytes_are_summed_by_where_they_came_from() -> None:
    assert (REPORT.fetched, REPORT.resumed, REPORT.reused) == (70, 40, 7)
    assert PullReport("app", None, None, (), (), 0.0).fetched == 0


def test_a_report_is_plain_data() -> None:
    document = json.loads(json.dumps(REPORT.encode()))
    assert document["totals"] == {"fetched": 70, "resumed": 40, "reused": 7, "copied": 0}
    assert document["schema"] == SCHEMA
    assert document["blobs"][1]["origin"] == {
        "host": "a.io",
        "redirect": "cdn.io",
        "attempts": 2,
        "resumed_at": [40],
        "passed": [],
        "connections": 1,
        "copied": 0,
    }
    assert document["blobs"][2]["checks"] == [
        {"name": "digest", "expected": DIGEST, "got": DIGEST, "passed": True, "note": ""}
    ]
