"""What looks at a blob on its way: when it stops."""

import anyio
from anyio import to_thread

from puller.ops.pulling.watch import stop_when_cancelled


async def test_r7_work_in_a_thread_ends_when_whoever_waits_for_it_is_cancelled() -> None:
    pulses = 0

    def endless() -> None:
        nonlocal pulses
        while True:
            pulses += 1
            stop_when_cancelled()

    with anyio.move_on_after(0.05) as scope:
        await to_thread.run_sync(endless)
    assert scope.cancelled_caught
    assert pulses > 1


def test_outside_a_worker_thread_nothing_is_stopped() -> None:
    stop_when_cancelled()
