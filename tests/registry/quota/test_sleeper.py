"""Waits for what another process is about to learn: told when they take long, and bounded."""

import anyio
import pytest

from puller.errors import RateLimited
from puller.model.event import Event, Waiting
from puller.registry.quota.sleeper import Sleeper
from tests.registry.scene import Time


async def test_r7_an_answer_that_does_not_come_is_told_of_once_and_given_up_at_last() -> None:
    time, heard = Time(), list[Event]()
    dozing = Sleeper(time.world(), heard.append).begun("hub.test", 60.0)
    end = time.now + 3600

    async def wait() -> None:
        while True:
            await dozing.until_settled(anyio.Event(), here=False, end=end)

    with pytest.raises(RateLimited) as caught:
        await wait()
    assert [(one.host, one.until) for one in heard if isinstance(one, Waiting)] == [("hub.test", end)]
    assert 60 <= sum(time.slept) <= 70
    assert "another pull of this user" in caught.value.what
    assert "--max-wait" in caught.value.hint


async def test_one_that_comes_soon_is_no_news() -> None:
    time, heard = Time(), list[Event]()
    dozing = Sleeper(time.world(), heard.append).begun("hub.test", 60.0)
    while sum(time.slept) < 3:
        await dozing.until_settled(anyio.Event(), here=False, end=time.now + 3600)
    assert heard == []
