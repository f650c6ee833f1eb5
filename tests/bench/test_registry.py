"""docker-registry as a context: what its log tells."""

from pathlib import Path

from bench.registry import Registry, Request

LOG = """\
127.0.0.1 - - [22/Nov/2025:18:46:38 +0000] "GET /v2/ HTTP/1.1" 200 2 "" "skopeo/1.9.3"
time="2025-11-22T18:46:38Z" level=error msg="something \\"GET /v2/app/blobs/sha256:ab HTTP/1.1\\" 200 9"
127.0.0.1 - alice [22/Nov/2025:18:46:39 +0000] "GET /v2/app/blobs/sha256:ab HTTP/1.1" 206 816 "" "puller/1"
127.0.0.1 - - [22/Nov/2025:18:46:39 +0000] "HEAD /v2/app/blobs/sha256:ab HTTP/2.0" 200 0 "" ""
"""


def test_requests_are_read_from_the_access_log_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "log").write_text(LOG)
    registry = Registry("127.0.0.1:5000", "http", tmp_path / "log")
    assert registry.requests() == [
        Request("GET", "/v2/", 200, 2),
        Request("GET", "/v2/app/blobs/sha256:ab", 206, 816),
        Request("HEAD", "/v2/app/blobs/sha256:ab", 200, 0),
    ]
    assert [r.status for r in registry.blob_reads("sha256:ab")] == [206]
