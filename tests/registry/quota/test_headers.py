"""What answers tell of quotas, in every form that registries are known to use, and in forms that they should not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from puller.registry.quota.headers import LONGEST, Lines, Quota, end_told, quota_of

NOW = 1_700_000_000.0
NAMES = ("RateLimit", "RateLimit-Policy", "RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset", "Retry-After")


def lines(*pairs: tuple[str, str]) -> Lines:
    headers = CIMultiDict(pairs)
    return lambda name: headers.getall(name, [])


def told(*pairs: tuple[str, str]) -> Quota | None:
    return quota_of(lines(*pairs), NOW)


def test_docker_hub_tells_limit_rest_and_window() -> None:
    answer = [
        ("ratelimit-limit", "100;w=21600"),
        ("ratelimit-remaining", "76;w=21600"),
        ("docker-ratelimit-source", "192.0.2.7"),
    ]
    assert told(*answer) == Quota(76, 100, 21600.0)


@pytest.mark.parametrize(
    ("limit", "window"),
    [("10", None), ("10;w=60", 60.0), ("10, 10;w=1, 50;w=60", 1.0), ("10, 50;w=60", None), ("10;w=0", None)],
)
def test_the_draft_up_to_06_has_a_header_for_each(limit: str, window: float | None) -> None:
    pairs = [("RateLimit-Limit", limit), ("RateLimit-Remaining", "9"), ("RateLimit-Reset", "50")]
    assert told(*pairs) == Quota(9, 10, window, NOW + 50)


def test_the_draft_07_has_a_dictionary() -> None:
    pairs = [("RateLimit", "limit=20, remaining=19, reset=1"), ("RateLimit-Policy", "20;w=1, 4000;w=1800")]
    assert told(*pairs) == Quota(19, 20, 1.0, NOW + 1)


def test_the_draft_since_08_has_a_list_with_policies_by_name() -> None:
    pairs = [("RateLimit-Policy", '"default";q=100;w=60;pk=:c2VjcmV0:'), ("RateLimit", '"default";r=50;t=30')]
    assert told(*pairs) == Quota(50, 100, 60.0, NOW + 30)


def test_of_several_quotas_the_one_nearest_its_end_counts() -> None:
    policy = ("RateLimit-Policy", '"burst";q=10;w=1, "a, day";q=1000;w=86400')
    assert told(policy, ("RateLimit", '"burst";r=9;t=1, "a, day";r=3;t=70000')) == Quota(3, 1000, 86400.0, NOW + 70000)
    assert told(policy, ("RateLimit", '"burst";r=0;t=1, "a, day";r=0;t=70000')) == Quota(0, 1000, 86400.0, NOW + 70000)


@pytest.mark.parametrize(
    ("reset", "when"),
    [
        ("60", NOW + 60),
        ("0", NOW),
        ("999999999", None),  # a length, and too long for one
        ("1700000060", NOW + 60),  # a time
        ("1600000000", NOW),  # one that has passed
        ("9999999999", None),
        ("-5", None),
        ("soon", None),
    ],
)
def test_a_reset_is_a_length_or_a_time_by_its_size(reset: str, when: float | None) -> None:
    pairs = [("X-RateLimit-Limit", "180"), ("X-RateLimit-Remaining", "7"), ("X-RateLimit-Reset", reset)]
    assert told(*pairs) == Quota(7, 180, None, when)


@pytest.mark.parametrize(
    "pairs",
    [
        [],
        [("RateLimit-Limit", "100")],
        [("RateLimit-Remaining", "-1")],
        [("RateLimit-Remaining", "1e3")],
        [("RateLimit-Remaining", "٣")],
        [("RateLimit-Remaining", "9" * 13)],
        [("RateLimit-Remaining", "5" + " " * 2000)],
        [("RateLimit", '"default')],
        [("RateLimit", '"default";t=5')],
        [("RateLimit", "=,;=,,;")],
        [("RateLimit", ",".join(["x;r=y"] * 100))],
    ],
)
def test_n7_what_cannot_be_read_says_nothing(pairs: list[tuple[str, str]]) -> None:
    assert told(*pairs) is None


def test_n7_a_window_of_ages_is_none() -> None:
    assert told(("RateLimit-Limit", f"5;w={10**11}"), ("RateLimit-Remaining", f"4;w={10**11}")) == Quota(4, 5)


def test_a_header_that_is_sent_twice_counts_as_the_less_that_it_says() -> None:
    assert told(("RateLimit-Remaining", "9"), ("RateLimit-Remaining", "3")) == Quota(3)


@pytest.mark.parametrize(
    ("pair", "when"),
    [
        (("Retry-After", "7"), NOW + 7),
        (("Retry-After", "0"), NOW),
        (("Retry-After", "1000000000"), NOW + LONGEST),
        (("Retry-After", "1700000090"), NOW + 90),  # a time, as Docker Hub has sent it
        (("Retry-After", "1699999990"), NOW),
        (("Retry-After", "Tue, 14 Nov 2023 22:14:20 GMT"), NOW + 60),
        (("Retry-After", "Tue, 14 Nov 2000 22:14:20 GMT"), NOW),
        (("Retry-After", "Fri, 01 Jan 2077 00:00:00 GMT"), NOW + LONGEST),
        (("X-Retry-After", "1700000030"), NOW + 30),
        (("X-Retry-After", "30"), NOW + 30),
        (("Retry-After", "-1"), None),
        (("Retry-After", "soon"), None),
        (("Retry-After", ""), None),
        (("Retry-After", "7" * 5000), None),
    ],
)
def test_n7_when_to_come_again_is_read_and_bounded(pair: tuple[str, str], when: float | None) -> None:
    assert end_told(lines(pair), NOW) == when


def test_two_different_ends_are_none() -> None:
    assert end_told(lines(("Retry-After", "7"), ("Retry-After", "9")), NOW) is None


@given(st.lists(st.tuples(st.sampled_from(NAMES), st.text(max_size=80)), max_size=8))
def test_n7_nothing_that_a_server_writes_raises_or_is_without_bounds(pairs: list[tuple[str, str]]) -> None:
    quota, end = quota_of(lines(*pairs), NOW), end_told(lines(*pairs), NOW)
    assert end is None or NOW <= end <= NOW + LONGEST
    assert quota is None or (quota.remaining >= 0 and (quota.reset is None or NOW <= quota.reset <= NOW + LONGEST))
