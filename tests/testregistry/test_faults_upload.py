"""Faults of what is sent: an upload that is cut keeps what came, or has lost it."""

from __future__ import annotations

import aiohttp
import pytest

from testregistry import faults, serve
from tests.testregistry.asking import absolute, ask, get


@pytest.mark.parametrize(("keep", "held"), [(True, "0-99"), (False, "0-0")])
async def test_a_cut_upload_holds_what_it_was_told_to(keep: bool, held: str) -> None:
    async with serve(faults=[faults.cut_upload(after=100, keep=keep)]) as registry:
        started = await ask("POST", f"{registry.url}/v2/app/blobs/uploads/")
        url = absolute(registry.url, started.headers["Location"])
        with pytest.raises(aiohttp.ClientError):
            await ask("PATCH", url, data=b"x" * 1000)
        asked = await get(url)
    assert (asked.status, asked.headers["Range"]) == (204, held)


async def test_the_next_part_is_taken_where_the_last_one_ended() -> None:
    async with serve(faults=[faults.cut_upload(after=100)]) as registry:
        started = await ask("POST", f"{registry.url}/v2/app/blobs/uploads/")
        url = absolute(registry.url, started.headers["Location"])
        with pytest.raises(aiohttp.ClientError):
            await ask("PATCH", url, data=b"x" * 1000)
        went_on = await ask("PATCH", url, data=b"x" * 900, headers={"Content-Range": "100-999"})
    assert (went_on.status, went_on.headers["Range"]) == (202, "0-999")
