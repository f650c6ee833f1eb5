"""Requests counted by method and kind."""

from bench.registry import Request
from bench.tally import tally


def test_requests_are_told_apart_by_what_they_ask_for() -> None:
    asked = [
        Request("GET", "/v2/", 200, 2),
        Request("GET", "/v2/team/app/tags/list?n=50", 200, 60),
        Request("HEAD", "/v2/team/app/manifests/1.0", 200, 0),
        Request("GET", "/v2/team/app/blobs/sha256:aa", 200, 700),
        Request("POST", "/v2/team/app/blobs/uploads/?mount=sha256:aa", 201, 0),
        Request("PUT", "/v2/team/app/blobs/uploads/7?digest=sha256:aa", 201, 0),
    ]

    found = tally(asked)

    assert (found["GET", "list"], found["HEAD", "manifest"], found["GET", "blob"]) == (1, 1, 1)
    assert (found["POST", "upload"], found["PUT", "upload"], found["GET", "other"]) == (1, 1, 1)
    assert (found.total, found.sent) == (6, 762)


def test_of_two_tallies_the_difference_is_what_came_between() -> None:
    before = [Request("HEAD", "/v2/a/manifests/1", 200, 0)]
    after = [*before, Request("GET", "/v2/a/manifests/1", 200, 9)]

    difference = tally(after) - tally(before)

    assert difference["HEAD", "manifest"] == 0
    assert difference["GET", "manifest"] == 1
    assert difference.cells() == ("0", "1", "0", "0", "0", "0")
