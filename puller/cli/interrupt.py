"""Runs a coroutine to its end, or to Ctrl-C and SIGTERM: then everything is cancelled, awaited and cleaned up."""

import asyncio
import os
import signal
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

from puller.cli.logs import Show, on_stderr, shown

T = TypeVar("T")
INSISTENT = 5.0  # seconds after the first signal; from then on one more ends the process as it stands
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def run(main: Callable[[], Coroutine[Any, Any, T]], *, warn: Show = on_stderr, left: str = "") -> T:
    """Run `main()`, showing what it logs as warnings by `warn`.

    Raises KeyboardInterrupt after a clean stop by SIGINT or SIGTERM; it says what is `left` then.
    """
    stopping = _Stopping()

    async def guarded() -> T:
        stopping.begin()
        return await main()

    try:
        with shown(warn), stopping.restored():
            return asyncio.run(guarded())
    except KeyboardInterrupt:
        raise KeyboardInterrupt(left) from None
    except asyncio.CancelledError:
        if stopping.since is not None:
            raise KeyboardInterrupt(left) from None
        raise


class _Stopping:
    """Cancels a task at the first signal, and lets it clean up whatever comes then.

    asyncio.run raises at a second SIGINT wherever the loop is just then. `timeout -s INT` sends two at once, and what
    was cleaned up waited for a thread that was never woken.
    """

    def __init__(self) -> None:
        self.since: float | None = None

    def begin(self) -> None:
        """See to the signals from now on, for the task that calls this."""
        task, loop = asyncio.current_task(), asyncio.get_running_loop()
        assert task is not None

        def stop(number: int, frame: object) -> None:
            if self.since is None:
                self.since = time.monotonic()
                with suppress(RuntimeError):  # the loop is closed: all of it is done
                    loop.call_soon_threadsafe(task.cancel)
            elif time.monotonic() - self.since > INSISTENT:
                signal.signal(number, signal.SIG_DFL)
                os.kill(os.getpid(), number)

        for number in _SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:  # as of what shells start with `&` in a script
                signal.signal(number, stop)

    @contextmanager
    def restored(self) -> Iterator[None]:
        """Leave the signals as they were before."""
        before = [(number, signal.getsignal(number)) for number in _SIGNALS]
        try:
            yield
        finally:
            for number, handler in before:
                signal.signal(number, handler)


def sentence(interrupt: KeyboardInterrupt) -> str:
    """What is said of an interrupt, for every verb: `interrupted; nothing was unpacked`."""
    return "; ".join(["interrupted", *filter(None, map(str, interrupt.args))])
