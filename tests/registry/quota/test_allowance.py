"""What is left of a quota, as answers tell it late and in any order, and while clocks jump."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from puller.registry.quota.allowance import HELD_LONGEST, MAX_HOLDS, Allowance, Hold, Kind, Standing
from puller.registry.quota.headers import LONGEST, Quota

NOW = 1_700_000_000.0
HOUR, DAY = 3600.0, 86400.0
WINDOW = 6 * HOUR


def known(remaining: int, *, limit: int | None = 100, reset: float | None = None, now: float = NOW) -> Allowance:
    return Allowance.learnt(Quota(remaining, limit, WINDOW, reset), sent=now, now=now)


def hold(number: int, holder: str = "me", now: float = NOW) -> Hold:
    return Hold(holder, number, now + HELD_LONGEST)


def take(allowance: Allowance, number: int, now: float = NOW, holder: str = "me") -> tuple[Allowance, Standing]:
    return allowance.taken(hold(number, holder, now), now, lambda _: True)


def test_a_request_takes_a_place_until_none_is_left() -> None:
    allowance, standings = known(2), []
    for number in range(3):
        allowance, standing = take(allowance, number)
        standings.append(standing)
    # Two are under way; their answers will tell whether that was all.
    assert standings == [Standing.GO, Standing.GO, Standing.SETTLING]


def test_nothing_left_is_nothing_left() -> None:
    assert take(known(0), 1)[1] is Standing.SPENT


def test_what_an_answer_says_comes_in_the_place_of_what_was_held() -> None:
    allowance, _ = take(known(10), 1)
    allowance = allowance.told(Quota(9, 100, WINDOW), sent=NOW + 1, now=NOW + 2).settled(hold(1))
    assert (allowance.remaining, allowance.holds) == (9, ())


def test_answers_that_overtake_one_another_leave_the_least() -> None:
    allowance = known(10)
    for remaining in (7, 9, 8):
        allowance = allowance.told(Quota(remaining, 100, WINDOW), sent=NOW, now=NOW + 1)
    assert allowance.remaining == 7


def test_an_answer_from_before_does_not_raise_what_is_left() -> None:
    refused = known(3).refused(None, sent=NOW + 5, now=NOW + 6, random=0)
    assert refused.told(Quota(3, 100, WINDOW), sent=NOW + 5, now=NOW + 7).remaining == 0


def test_a_later_request_may_find_more_than_was_left() -> None:
    """As in a window that slides, or when an account has been upgraded."""
    refused = known(3).refused(None, sent=NOW + 5, now=NOW + 6, random=0)
    assert refused.told(Quota(40, 200, WINDOW), sent=NOW + 60, now=NOW + 61).remaining == 40


def test_an_answer_of_the_last_window_says_nothing_of_this_one() -> None:
    before = known(0, reset=NOW + 60)
    fresh = before.told(Quota(99, 100, WINDOW), sent=NOW + 61, now=NOW + 62)
    assert fresh.told(Quota(0, 100, WINDOW), sent=NOW + 59, now=NOW + 63).remaining == 99
    assert fresh.refused(None, sent=NOW + 59, now=NOW + 63, random=0).remaining == 99


def test_in_a_window_that_has_opened_one_finds_out_and_the_others_wait_for_it() -> None:
    allowance, first = take(known(0, reset=NOW + 60), 1, NOW + 61)
    allowance, second = take(allowance, 2, NOW + 61)
    assert (first, second) == (Standing.GO, Standing.SETTLING)
    assert allowance.holds[0].scout
    allowance = allowance.told(Quota(99, 100, WINDOW), sent=NOW + 61, now=NOW + 62).settled(allowance.holds[0])
    assert take(allowance, 2, NOW + 62)[1] is Standing.GO


def test_where_the_registry_tells_the_end_it_is_the_end() -> None:
    assert known(0, reset=NOW + 60).opening == NOW + 60
    assert known(5).refused(NOW + 90, sent=NOW, now=NOW, random=0).opening == NOW + 90


def test_where_it_does_not_the_window_is_counted_from_the_first_pull_that_we_know_of() -> None:
    allowance = known(99)
    for hours in range(1, 4):
        allowance = allowance.told(Quota(99 - hours, 100, WINDOW), sent=NOW + hours * HOUR, now=NOW + hours * HOUR)
    spent = allowance.refused(None, sent=NOW + 4 * HOUR, now=NOW + 4 * HOUR, random=0)
    assert spent.opening == spent.look == NOW + WINDOW


def test_a_window_that_others_have_begun_is_looked_at_before_it_must_end() -> None:
    spent = known(0)
    assert (spent.look, spent.opening) == (NOW + WINDOW / 4, NOW + WINDOW)
    assert take(spent, 1, NOW + WINDOW / 4 - 1)[1] is Standing.SPENT
    spent, standing = take(spent, 1, NOW + WINDOW / 4)
    assert standing is Standing.GO
    assert spent.refused(None, sent=NOW + WINDOW / 4, now=NOW + WINDOW / 4 + 1, random=0).look > NOW + WINDOW / 2


def test_one_that_should_have_been_open_is_looked_at_again_after_a_part_of_it() -> None:
    end = NOW + WINDOW
    spent, _ = take(known(0), 1, end)
    again = spent.refused(None, sent=end, now=end + 1, random=0).settled(spent.holds[0])
    assert again.opening == pytest.approx(end + 1 + WINDOW / 16)
    assert take(again, 2, end + 2)[1] is Standing.SPENT


def test_a_refusal_without_any_number_is_for_an_hour() -> None:
    spent = Allowance.learnt(None, sent=NOW, now=NOW).refused(None, sent=NOW, now=NOW, random=0)
    assert spent.opening == NOW + HOUR
    assert take(spent, 1)[1] is Standing.SPENT


@pytest.mark.parametrize("is_told", [True, False])
def test_n7_a_window_that_is_told_to_last_for_months_is_asked_about_once_a_day(is_told: bool) -> None:
    quota = Quota(0, 1, 100 * DAY, NOW + 100 * DAY if is_told else None)
    spent = Allowance.learnt(quota, sent=NOW, now=NOW).refused(quota.reset, sent=NOW, now=NOW, random=0)
    assert spent.opening == NOW + 100 * DAY
    assert take(spent, 1, NOW + DAY - 1)[1] is Standing.SPENT
    looking, standing = take(spent, 1, NOW + DAY)
    assert standing is Standing.GO
    again = looking.refused(quota.reset, sent=NOW + DAY, now=NOW + DAY, random=0).settled(looking.holds[0])
    assert take(again, 2, NOW + 2 * DAY - 1)[1] is Standing.SPENT
    good = looking.told(Quota(5, 9, HOUR), sent=NOW + DAY, now=NOW + DAY + 1).settled(looking.holds[0])
    assert take(good, 2, NOW + DAY + 2)[1] is Standing.GO


def test_places_of_the_dead_and_of_long_ago_are_free() -> None:
    allowance, _ = take(known(1), 1, holder="dead")
    assert take(allowance, 2)[1] is Standing.SETTLING
    assert allowance.taken(hold(2), NOW, lambda holder: holder != "dead")[1] is Standing.GO
    assert take(allowance, 2, NOW + HELD_LONGEST + 1)[1] is Standing.GO


def test_a_dead_scout_is_followed_by_another() -> None:
    allowance, _ = take(known(0, reset=NOW), 1, holder="dead")
    assert allowance.taken(hold(2), NOW, lambda holder: holder != "dead")[1] is Standing.GO


def test_holds_are_bounded() -> None:
    allowance = replace(known(10**6), holds=tuple(hold(number) for number in range(MAX_HOLDS)))
    assert take(allowance, MAX_HOLDS)[1] is Standing.SETTLING


def test_l6_a_clock_that_is_set_back_makes_no_wait_longer_than_it_was() -> None:
    allowance, _ = take(known(0, reset=NOW + HOUR), 1)
    back = allowance.at(NOW - DAY)
    assert back.opening == NOW - DAY + HOUR
    assert back.at(NOW - DAY + 1) == back


def test_l6_a_clock_that_is_set_on_lets_one_request_out_and_no_more() -> None:
    spent = known(0, reset=NOW + HOUR).at(NOW + DAY)
    spent, first = take(spent, 1, NOW + DAY)
    assert (first, take(spent, 2, NOW + DAY)[1]) == (Standing.GO, Standing.SETTLING)


def test_what_is_long_ago_is_forgotten() -> None:
    assert not known(5).is_over(NOW + WINDOW)
    assert known(5).is_over(NOW + 2 * WINDOW + 1)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["take", "told", "refused", "settle"]),
            st.integers(0, 200),
            st.floats(-2 * DAY, 2 * DAY),
            st.floats(0, 2 * LONGEST) | st.none(),
        ),
        max_size=30,
    )
)
def test_l6_no_wait_is_ever_without_end(steps: list[tuple[str, int, float, float | None]]) -> None:
    allowance, now = known(5), NOW
    for number, (what, remaining, step, end) in enumerate(steps):
        sent, now = now, now + step
        allowance = allowance.at(now)
        match what:
            case "take":
                allowance, _ = take(allowance, number, now)
            case "told":
                allowance = allowance.told(Quota(remaining, 100, WINDOW), sent=sent, now=now)
            case "refused":
                told = None if end is None else now + end
                allowance = allowance.refused(told, sent=sent, now=now, random=1.0)
            case _:
                allowance = allowance.settled(hold(number - 1))
        assert allowance.opening - now <= max(WINDOW, LONGEST) + 10
        assert allowance.look <= max(allowance.opening, now + WINDOW)
        assert allowance.remaining >= 0


@pytest.mark.parametrize(
    ("method", "path", "kind"),
    [
        ("GET", "/v2/library/debian/manifests/bookworm", Kind.PULL),
        ("GET", "/v2/library/debian/manifests/sha256:00?ns=docker.io", Kind.PULL),
        ("GET", "/proxy/v2/a/manifests/1", Kind.PULL),
        ("HEAD", "/v2/library/debian/manifests/bookworm", Kind.LOOK),
        ("PUT", "/v2/library/debian/manifests/bookworm", Kind.OTHER),
        ("GET", "/v2/library/debian/blobs/sha256:00", Kind.OTHER),
        ("GET", "/v2/manifests/tags/list", Kind.OTHER),
        ("GET", "/v2/my/manifests/blobs/sha256:00", Kind.OTHER),
        ("GET", "/v2/", Kind.OTHER),
    ],
)
def test_only_gets_of_manifests_are_pulls(method: str, path: str, kind: Kind) -> None:
    assert Kind.of(method, path) is kind
