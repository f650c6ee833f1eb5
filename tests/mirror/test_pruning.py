"""Which tags go: few, seldom, and none where anything is in doubt."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from puller.mirror.config import Prune
from puller.mirror.pruning import Fate, judge, strictest

FREE = Prune(keep=0, most=None, share=None)
NOW = 1_790_000_000.0
DAY = 86400.0

names = st.sets(st.sampled_from([f"v{number}" for number in range(60)]))
rules = st.builds(
    Prune,
    keep=st.integers(0, 70),
    most=st.none() | st.integers(0, 70),
    share=st.none() | st.floats(0, 1),
    grace=st.timedeltas(timedelta(0), timedelta(days=30)),
)
moments = st.dictionaries(st.sampled_from([f"v{number}" for number in range(60)]), st.floats(NOW - 60 * DAY, NOW + DAY))


def pruned(fates: list[Fate]) -> set[str]:
    return {fate.name for fate in fates if fate.action == "pruned"}


def fates(ours: set[str], wanted: set[str], prune: Prune = FREE, **since: float) -> dict[str, str]:
    found = judge(ours, wanted, whole=True, prune=prune, since=since, now=NOW)
    return {fate.name: fate.action for fate in found}


def test_what_is_not_selected_any_more_goes() -> None:
    assert fates({"1", "2", "3"}, {"2", "3"}) == {"1": "pruned"}


def test_what_no_sync_has_brought_is_not_judged() -> None:
    assert fates({"1"}, {"1", "2"}) == {}


@given(names, names, rules, moments)
def test_h3_where_anything_is_in_doubt_nothing_goes(
    ours: set[str], wanted: set[str], prune: Prune, since: dict[str, float]
) -> None:
    found = judge(ours, wanted, whole=False, prune=prune, since=since, now=NOW)
    assert {fate.action for fate in found} <= {"kept"}
    assert {fate.name for fate in found} == ours - wanted


@given(names, rules, moments)
def test_h3_where_nothing_is_selected_nothing_goes(ours: set[str], prune: Prune, since: dict[str, float]) -> None:
    assert {fate.action for fate in judge(ours, set(), whole=True, prune=prune, since=since, now=NOW)} <= {"kept"}


@given(names, names, rules, moments)
def test_h3_never_more_go_than_any_limit_says(
    ours: set[str], wanted: set[str], prune: Prune, since: dict[str, float]
) -> None:
    found = judge(ours, wanted, whole=True, prune=prune, since=since, now=NOW)
    gone = pruned(found)
    assert gone <= ours - wanted
    assert {fate.name for fate in found} == ours - wanted
    assert not gone or len(ours) - len(gone) >= prune.keep
    assert prune.most is None or len(gone) <= prune.most
    assert prune.share is None or len(gone) <= max(1, prune.share * len(ours) + 1e-6)
    assert all(NOW - since.get(name, NOW) >= prune.grace.total_seconds() for name in gone)


@given(names, names, rules, moments)
def test_h3_beyond_the_limit_all_stay(ours: set[str], wanted: set[str], prune: Prune, since: dict[str, float]) -> None:
    found = judge(ours, wanted, whole=True, prune=prune, since=since, now=NOW)
    due = [fate for fate in found if fate.action == "pruned" or "`max`" in fate.why]
    assert len({fate.action for fate in due}) <= 1


@given(names, names, names, rules, moments)
def test_what_one_of_several_mirrors_wants_is_not_pruned_by_another(
    ours: set[str], wanted: set[str], others: set[str], prune: Prune, since: dict[str, float]
) -> None:
    assert not pruned(judge(ours, wanted | others, whole=True, prune=prune, since=since, now=NOW)) & others


def test_h3_of_a_list_that_came_by_half_nothing_goes() -> None:
    ours = {str(number) for number in range(20)}
    assert set(fates(ours, set(sorted(ours)[:10]), Prune()).values()) == {"kept"}


@pytest.mark.parametrize(
    ("total", "share", "going", "goes"),
    [(10, 0.1, 1, True), (10, 0.1, 2, False), (100, 0.07, 7, True), (3, 0.1, 1, True), (3, 0.0, 1, False)],
)
def test_a_share_lets_one_go_however_few_there_are(total: int, share: float, going: int, goes: bool) -> None:
    ours = {str(number) for number in range(total)}
    wanted = {str(number) for number in range(total - going)}
    assert set(fates(ours, wanted, Prune(keep=1, share=share)).values()) == {"pruned" if goes else "kept"}


def test_those_that_were_wanted_last_stay_where_some_have_to() -> None:
    prune = Prune(keep=2, share=None)
    since = {"a": NOW - 3 * DAY, "b": NOW - DAY, "c": NOW - 2 * DAY}
    assert fates({"a", "b", "c", "x"}, {"x"}, prune, **since) == {"a": "pruned", "b": "kept", "c": "pruned"}


def test_what_is_in_its_time_of_grace_waits_and_says_how_long() -> None:
    prune = Prune(keep=0, share=None, grace=timedelta(days=3))
    since = {"a": NOW - 3 * DAY, "b": NOW - DAY}
    found = judge({"a", "b", "c"}, {"x"}, whole=True, prune=prune, since=since, now=NOW)
    assert [(fate.action, fate.name) for fate in found] == [("pruned", "a"), ("waiting", "b"), ("waiting", "c")]
    assert "goes in 2 days" in found[1].why


def test_what_waits_does_not_count_among_what_goes() -> None:
    prune = Prune(keep=0, most=1, share=None, grace=timedelta(days=1))
    assert fates({"a", "b", "x"}, {"x"}, prune, a=NOW - 2 * DAY) == {"a": "pruned", "b": "waiting"}


def test_r13_a_clock_that_was_set_back_begins_the_time_of_grace_anew() -> None:
    prune = Prune(keep=0, share=None, grace=timedelta(hours=1))
    assert fates({"a", "x"}, {"x"}, prune, a=NOW + 30 * DAY) == {"a": "waiting"}


def test_of_several_rules_the_strictest_counts() -> None:
    one, other = Prune(1, None, 0.5, timedelta(days=3)), Prune(4, 7, None, timedelta(0))
    assert strictest([one, other]) == strictest([other, one]) == Prune(4, 7, 0.5, timedelta(days=3))
