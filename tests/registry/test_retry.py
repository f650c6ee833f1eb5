import pytest

from puller.errors import Unavailable
from puller.model.event import Event, Retrying
from puller.registry.retry import Retries, RetryPolicy, Setback, Trial, passes
from tests.registry.scene import Time

POLICY = RetryPolicy(attempts=4, base=1.0, cap=5.0, retry_after_cap=100.0, budget=10)
SETBACK = Setback(Unavailable("the server fails"))


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 520, 599])
def test_statuses_that_pass(status: int) -> None:
    assert passes(status)


@pytest.mark.parametrize("status", [200, 204, 301, 400, 401, 403, 404, 405, 409, 410, 416, 421, 451, 501, 505, 600])
def test_statuses_that_stay(status: int) -> None:
    assert not passes(status)


def test_delays_double_up_to_the_cap() -> None:
    retries = Retries(RetryPolicy(attempts=9, base=1.0, cap=5.0), lambda: 1.0)
    assert [retries.delay(failures) for failures in (1, 2, 3, 4, 5)] == [1.0, 2.0, 4.0, 5.0, 5.0]


def test_jitter_is_full() -> None:
    retries = Retries(POLICY, iter([0.0, 0.5]).__next__)
    assert [retries.delay(2), retries.delay(2)] == [0.0, 1.0]


def test_n7_retry_after_is_waited_out_with_jitter_on_top() -> None:
    assert Retries(POLICY, lambda: 0.5).delay(1, 20.0) == 20.5


def test_n7_retry_after_is_capped() -> None:
    assert Retries(POLICY, lambda: 0.0).delay(1, 1e9) == 100.0


def test_the_last_attempt_is_the_last() -> None:
    retries = Retries(POLICY, lambda: 1.0)
    assert retries.delay(3) is not None
    assert retries.delay(4) is None


def test_a_host_has_a_budget_and_answers_refill_it() -> None:
    retries = Retries(RetryPolicy(budget=2), lambda: 1.0)
    assert None not in (retries.delay(1), retries.delay(1))
    assert retries.delay(1) is None
    retries.succeeded()
    assert retries.delay(1) is not None


def test_the_budget_never_grows_beyond_its_size() -> None:
    retries = Retries(RetryPolicy(budget=1), lambda: 1.0)
    for _ in range(5):
        retries.succeeded()
    assert retries.delay(1) is not None
    assert retries.delay(1) is None


def trial(now: Time, events: list[Event]) -> Trial:
    retries = Retries(POLICY, lambda: 1.0)
    return Trial(retries, host="r.test", what="tags", report=events.append, sleep=now.sleep)


async def test_a_trial_waits_tells_and_counts() -> None:
    now, events = Time(), list[Event]()
    work = trial(now, events)
    await work.after(SETBACK)
    await work.after(SETBACK)
    assert now.slept == [1.0, 2.0]
    assert events[0] == Retrying("r.test", "tags", 2, 1.0, "the server fails")
    assert work.attempts == 3


async def test_a_trial_ends_with_the_error_and_the_number_of_attempts() -> None:
    work = trial(Time(), [])
    for _ in range(POLICY.attempts - 1):
        await work.after(SETBACK)
    with pytest.raises(Unavailable) as caught:
        await work.after(SETBACK)
    assert caught.value.attempts == POLICY.attempts


async def test_progress_makes_the_next_failure_the_first() -> None:
    now = Time()
    work = trial(now, [])
    for _ in range(3):
        await work.after(SETBACK)
        work.progressed()
    assert now.slept == [1.0, 1.0, 1.0]
