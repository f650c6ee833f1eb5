"""Runs a coroutine to its end, or to Ctrl-C and SIGTERM: then everything is cancelled, awaited and cleaned up."""

import asyncio
import signal
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from puller.cli.logs import Show, on_stderr, shown

T = TypeVar("T")


def run(main: Callable[[], Coroutine[Any, Any, T]], *, warn: Show = on_stderr, left: str = "") -> T:
    """Run `main()`, showing what it logs as warnings by `warn`.

    Raises KeyboardInterrupt after a clean stop by SIGINT or SIGTERM; it says what is `left` then.
    """
    terminated = False

    async def guarded() -> T:
        task = asyncio.current_task()
        assert task is not None

        def stop() -> None:
            nonlocal terminated
            terminated = True
            task.cancel()

        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop)
        return await main()

    try:
        with shown(warn):
            return asyncio.run(guarded())
    except KeyboardInterrupt:
        raise KeyboardInterrupt(left) from None
    except asyncio.CancelledError:
        if terminated:
            raise KeyboardInterrupt(left) from None
        raise


def sentence(interrupt: KeyboardInterrupt) -> str:
    """What is said of an interrupt, for every verb: `interrupted; nothing was unpacked`."""
    return "; ".join(["interrupted", *filter(None, map(str, interrupt.args))])
