"""A daemon over days: what runs when, what is skipped, and what nothing can stop (RELIABILITY R13)."""

from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import anyio
import pytest

from puller.errors import InvalidConfig, PullerError, StoreBusy
from puller.mirror.config import Mirror
from puller.mirror.schedule import Schedule
from puller.model.sync import SyncReport
from puller.ops.syncing.daemon import SLICE
from tests.ops.syncing.watchful import DAY, HOUR, MINUTE, NOON, World, key, mirror, ran

BERLIN = ZoneInfo("Europe/Berlin")


async def test_a_mirror_that_never_ran_runs_at_once_and_then_by_its_schedule() -> None:
    world = World(now=NOON + 60, until=NOON + 13 * HOUR)
    await world.keep_syncing(mirror("debian", "17 */6 * * *"))
    assert world.times() == ["10. 12:01", "10. 12:17", "10. 18:17", "11. 00:17"]


async def test_mirrors_that_are_due_together_run_in_one_run() -> None:
    world = World(until=NOON + 100 * MINUTE)
    await world.keep_syncing(mirror("a", "0 * * * *"), mirror("b", "*/30 * * * *"), mirror("c"))
    assert [names for _, names in world.runs] == [["a", "b"], ["b"], ["a", "b"], ["b"]]


async def test_a_mirror_without_a_schedule_runs_by_that_of_all_others_where_there_is_one() -> None:
    world = World(until=NOON + 3 * HOUR - 1)
    await world.keep_syncing(mirror("a", "@daily"), mirror("b"), otherwise=Schedule.parse("every 1h"))
    assert world.times("b") == ["10. 12:00", "10. 13:00", "10. 14:00"]
    assert world.times("a") == ["10. 12:00"]


async def test_r13_state_survives_a_restart() -> None:
    world = World(now=NOON + HOUR, until=NOON + 7 * HOUR)
    world.state.last_runs[key("a")] = ran(NOON, NOON + 60)
    await world.keep_syncing(mirror("a", "every 6h"))
    assert world.times() == ["10. 18:00"]


async def test_r13_times_missed_while_it_was_off_are_made_up_for_by_one_run() -> None:
    world = World(now=NOON + 1, until=NOON + 2 * HOUR - 1)
    world.state.last_runs[key("a")] = ran(NOON - 9 * DAY, NOON - 9 * DAY + 60)
    await world.keep_syncing(mirror("a", "0 * * * *"))
    assert world.times() == ["10. 12:00", "10. 13:00"]


async def test_r13_times_that_fall_into_the_mirrors_own_run_are_skipped_and_counted() -> None:
    world = World(takes=150 * MINUTE, until=NOON + 3 * HOUR + 1)
    await world.keep_syncing(mirror("a", "*/30 * * * *"))
    assert world.times() == ["10. 12:00", "10. 15:00"]
    assert world.tallies.of(key("a")).skipped == 2 * 5
    assert any("due 5 more times" in line for line in world.told)


async def test_r13_what_another_mirrors_run_holds_up_runs_right_after_it_and_once() -> None:
    world = World(takes=150 * MINUTE, until=NOON + 5 * HOUR)
    world.state.last_runs[key("quick")] = ran(NOON - 60, NOON - 50)
    await world.keep_syncing(mirror("slow", "@daily"), mirror("quick", "30 * * * *"))
    assert [(time, names) for time, (_, names) in zip(world.times(), world.runs, strict=True)][:2] == [
        ("10. 12:00", ["slow"]),
        ("10. 14:30", ["quick"]),
    ]
    assert world.tallies.of(key("quick")).skipped == 2  # 15:30 and 16:30: its own run alone counts


@pytest.mark.parametrize(
    "failure",
    [PullerError("no route"), ValueError("a fault"), BaseExceptionGroup("two", [PullerError("a"), PullerError("b")])],
)
async def test_r13_a_run_that_fails_stops_nothing_and_is_not_repeated_in_a_storm(failure: Exception) -> None:
    world = World(until=NOON + 3 * HOUR - 1, outcome=lambda _: failure)
    await world.keep_syncing(mirror("a", "every 1h"))
    assert world.times() == ["10. 12:00", "10. 13:00", "10. 14:00"]
    tally = world.tallies.of(key("a"))
    assert (tally.failed, tally.well, tally.is_well) == (3, 0, False)


async def test_r13_a_state_that_cannot_be_written_makes_no_storm() -> None:
    world = World(until=NOON + 3 * HOUR - 1)
    world.state.is_full = True
    await world.keep_syncing(mirror("a", "every 1h"))
    assert len(world.runs) == 3


async def test_r13_a_state_that_stays_as_it_was_long_ago_makes_no_storm_either() -> None:
    world = World(until=NOON + 3 * HOUR - 1)
    world.state.is_full = True
    world.state.last_runs[key("a")] = ran(NOON - DAY, NOON - DAY + 1)
    await world.keep_syncing(mirror("a", "every 1h"))
    assert world.times() == ["10. 12:00", "10. 13:00", "10. 14:00"]


async def test_r13_a_run_that_another_process_keeps_off_is_skipped_counted_and_tried_again() -> None:
    busy = [StoreBusy("another run holds the state")] * 3

    def outcome(_: Sequence[Mirror]) -> Exception | None:
        return busy.pop() if busy else None

    world = World(until=NOON + HOUR - 1, outcome=outcome, takes=1)
    await world.keep_syncing(mirror("a", "every 6h"))
    assert len(world.runs) == 4
    assert all(59 < later - sooner < 62 for (sooner, _), (later, _) in pairwise(world.runs))
    assert world.tallies.of(key("a")).busy == 3
    assert sum("tried again" in line for line in world.told) == 1


async def test_what_was_run_by_hand_meanwhile_is_not_run_again() -> None:
    world = World(until=NOON + 6 * HOUR)
    world.state.last_runs[key("a")] = ran(NOON - 60, NOON - 50)
    by_hand = ran(NOON + 50 * MINUTE, NOON + 55 * MINUTE)
    world.at[NOON + 55 * MINUTE] = lambda: world.state.last_runs.update({key("a"): by_hand})
    await world.keep_syncing(mirror("a", "every 1h"))
    assert world.times()[0] == "10. 13:50"


async def test_l6_r13_a_clock_set_back_by_a_day_neither_stops_nor_storms() -> None:
    world = World(until=NOON + 2 * HOUR)

    def set_back() -> None:
        world.now -= DAY

    world.at[NOON + 30 * MINUTE] = set_back
    await world.keep_syncing(mirror("a", "0 * * * *"), mirror("b", "every 1h"))
    assert world.times("a")[:4] == ["10. 12:00", "09. 13:00", "09. 14:00", "09. 15:00"]
    assert world.times("b")[:3] == ["10. 12:00", "09. 13:30", "09. 14:30"]
    assert any("set back" in line for line in world.told)


async def test_l6_r13_a_clock_that_jumps_ahead_by_a_year_makes_one_run() -> None:
    world = World(until=NOON + 365 * DAY + HOUR)

    def jump() -> None:
        world.now += 365 * DAY

    world.at[NOON + 10 * MINUTE] = jump
    await world.keep_syncing(mirror("a", "*/30 * * * *"))
    assert world.times()[:3] == ["10. 12:00", "10. 12:10", "10. 12:30"]


async def test_r13_a_run_in_the_future_left_by_a_wrong_clock_delays_by_one_interval_only() -> None:
    world = World(until=NOON + 2 * HOUR)
    world.state.last_runs[key("a")] = ran(NOON + 9000 * DAY, NOON + 9000 * DAY + 60)
    await world.keep_syncing(mirror("a", "every 1h"))
    assert world.times()[0] == "10. 13:00"


async def test_sleep_is_in_slices_so_that_a_suspended_machine_is_not_late() -> None:
    world = World(until=NOON + HOUR)
    await world.keep_syncing(mirror("a", "@daily"))
    assert max(world.naps) == SLICE
    assert min(world.naps) > 0


async def test_jitter_puts_off_runs_by_one_part_for_all_and_does_not_add_up() -> None:
    world = World(until=NOON + 4 * HOUR)
    world.state.last_runs[key("a")] = world.state.last_runs[key("c")] = ran(NOON, NOON)
    await world.keep_syncing(
        mirror("a", "0 * * * *"), mirror("c", "0 * * * *"), mirror("b", "every 1h"), jitter=8 * MINUTE
    )
    assert world.times("a") == ["10. 13:04", "10. 14:04", "10. 15:04"]
    assert world.times("c") == world.times("a")
    assert world.times("b") == ["10. 12:04", "10. 13:04", "10. 14:04", "10. 15:04"]


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        ((2026, 3, 29), ["29. 01:00", "29. 03:00", "30. 02:30"]),  # from 2 to 3
        ((2026, 10, 25), ["25. 01:00", "25. 02:30", "26. 02:30"]),  # from 3 back to 2
    ],
)
async def test_l6_r13_a_daily_run_runs_once_on_the_days_that_clocks_are_moved(
    day: tuple[int, int, int], expected: list[str]
) -> None:
    start = datetime(*day, 1, 0, tzinfo=BERLIN).timestamp()
    world = World(now=start, until=start + 30 * HOUR, zone=BERLIN)
    await world.keep_syncing(mirror("a", "30 2 * * *"))
    assert world.times() == expected


@pytest.mark.parametrize("day", [(2026, 3, 29), (2026, 10, 25)])
async def test_l6_r13_half_hours_go_on_by_real_time_on_the_days_that_clocks_are_moved(
    day: tuple[int, int, int],
) -> None:
    start = datetime(*day, 0, 0, tzinfo=BERLIN).timestamp()
    world = World(now=start, until=start + 6 * HOUR - 1, zone=BERLIN)
    await world.keep_syncing(mirror("a", "*/30 * * * *"), mirror("b", "every 30m"))
    assert [time - start for time, _ in world.runs] == [step * 30 * MINUTE for step in range(12)]


async def test_the_tallies_stay_as_small_as_the_configuration_however_many_runs() -> None:
    hosts = iter(range(10**6))

    def outcome(_: Sequence[Mirror]) -> SyncReport:
        return SyncReport("run", "c", world.now - 10, world.now, requests={f"cdn{next(hosts)}.example": {"GET": 1}})

    world = World(until=NOON + 3 * DAY, outcome=outcome)
    await world.keep_syncing(mirror("a", "every 30m"), mirror("b", "every 1d"))
    assert set(world.tallies.mirrors) == {key("a"), key("b")}
    assert world.tallies.of(key("a")).well == len(world.runs) > 140
    assert len(world.tallies.requests) <= 51
    assert sum(methods["GET"] for methods in world.tallies.requests.values()) == len(world.runs)


async def test_the_configuration_is_read_again_when_asked() -> None:
    world = World(until=NOON + 3 * HOUR - 1, reread=lambda: [mirror("b", "every 1h")])
    world.at[NOON + 30 * MINUTE] = world.ask_to_reread
    await world.keep_syncing(mirror("a", "every 1h"))
    assert world.runs[0][1] == ["a"]
    assert world.times("b") == ["10. 12:30", "10. 13:30", "10. 14:30"]
    assert set(world.tallies.mirrors) == {key("b")}


async def test_a_wrong_configuration_leaves_the_old_one_and_says_so() -> None:
    def wrong() -> Sequence[Mirror]:
        raise InvalidConfig("no mirror here", where="sync.yml:3")

    world = World(until=NOON + 2 * HOUR - 1, reread=wrong)
    world.at[NOON + 30 * MINUTE] = world.ask_to_reread
    await world.keep_syncing(mirror("a", "every 1h"))
    assert world.times("a") == ["10. 12:00", "10. 13:00"]
    assert world.tallies.refused == 1
    assert any("stays as it was" in line and "sync.yml:3" in line for line in world.told)


async def test_an_idle_daemon_ends_when_asked() -> None:
    world = World(until=NOON + 60)
    world.state.last_runs[key("a")] = ran(NOON - 60, NOON - 50)
    with anyio.fail_after(5):
        await world.keep_syncing(mirror("a", "@daily"))
    assert world.runs == []
