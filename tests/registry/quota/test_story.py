"""Ten pulls left and forty wanted: nobody is refused for long, and all get what they want."""

import asyncio
from pathlib import Path

import pytest

from puller.contracts.access import Credential, KnownIdentity
from puller.errors import RateLimited
from puller.registry.quota import wording
from puller.registry.quota.ledger import Ledgers
from testregistry import Bearer, Quota, TestRegistry, faults, images, serve
from testregistry.quota import Kind
from tests.registry.quota.party import all_pulled, fill, guests, pulled
from tests.registry.quota.tide import Tide

pytestmark = pytest.mark.slow  # many small tests: for `make test`

HOUR = 3600.0
WINDOW = 6 * HOUR
# What a window that others have begun costs at most: a look at each quarter of it, and one at its end, because Docker
# Hub does not tell when it ends.
LOOKS = 4


async def test_four_clients_want_forty_images_of_a_hub_that_has_ten_pulls_left(tmp_path: Path) -> None:
    tide = Tide()
    start = tide.now
    quota = Quota(100, WINDOW, used=90, clock=tide.wall)
    async with serve(quota=quota) as registry, guests(4, tide.world(), limits=tmp_path / "limits") as four:
        names = fill(registry, 40)
        async with tide.flowing(registry):
            await asyncio.gather(
                *(all_pulled(guest.client, names[10 * n : 10 * n + 10]) for n, guest in enumerate(four))
            )
        refused = registry.journal.count("GET", kind="manifest", status=429)
        assert registry.journal.count("GET", kind="manifest", status=200) == 40
        assert refused <= LOOKS
        assert len(registry.journal) <= 2 * 40 + LOOKS
    assert WINDOW <= tide.now - start <= WINDOW + HOUR
    waits = [wait for guest in four for wait in guest.waits]
    assert {wait.reason for wait in waits} == {"pull quota used up: 0 of 100 left per 6h"}
    assert all(wait.host == registry.host for wait in waits)
    assert max(wait.until for wait in waits) <= start + WINDOW + HOUR
    assert all(guest.waits for guest in four)
    assert len(waits) <= 4 * (LOOKS + 1)  # one of them tells for all who wait


async def test_where_the_end_is_told_nobody_is_refused_at_all(tmp_path: Path) -> None:
    tide = Tide()
    start = tide.now
    quota = Quota(30, WINDOW, used=20, kind="ietf", clock=tide.wall)
    async with serve(quota=quota) as registry, guests(4, tide.world(), limits=tmp_path) as four:
        names = fill(registry, 40)
        async with tide.flowing(registry):
            await asyncio.gather(
                *(all_pulled(guest.client, names[10 * n : 10 * n + 10]) for n, guest in enumerate(four))
            )
        assert registry.journal.count(status=429) == 0
    assert WINDOW <= tide.now - start <= WINDOW + 60


async def test_where_more_is_wanted_than_one_window_has_all_is_had_in_the_end(tmp_path: Path) -> None:
    tide = Tide()
    start = tide.now
    quota = Quota(10, WINDOW, kind="ietf", clock=tide.wall)
    async with serve(quota=quota) as registry, guests(2, tide.world(), limits=tmp_path, max_wait=7 * HOUR) as two:
        names = fill(registry, 30)
        async with tide.flowing(registry):
            await asyncio.gather(*(all_pulled(guest.client, names[n::2]) for n, guest in enumerate(two)))
        assert registry.journal.count(status=429) == 0
    assert 2 * WINDOW <= tide.now - start <= 2 * WINDOW + 60


async def test_who_names_digests_learns_of_the_quota_by_the_first_pull(tmp_path: Path) -> None:
    tide = Tide()
    quota = Quota(100, WINDOW, used=90, clock=tide.wall)
    async with serve(quota=quota) as registry, guests(4, tide.world(), limits=tmp_path) as four:
        names = [f"{name.rpartition(':')[0]}@{digest}" for name, digest in _digests(registry, 40)]
        async with tide.flowing(registry):
            await asyncio.gather(
                *(all_pulled(guest.client, names[10 * n : 10 * n + 10]) for n, guest in enumerate(four))
            )
        assert registry.journal.count("HEAD") == 0
        assert registry.journal.count(status=429) <= LOOKS


def _kept(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.iterdir())


def _digests(registry: TestRegistry, number: int) -> list[tuple[str, str]]:
    found = []
    for n in range(number):
        image = images.image(images.layer({"n": str(n).encode()}))
        registry.add(f"app{n}:1", image)
        found.append((registry.name(f"app{n}:1"), image.digest))
    return found


@pytest.mark.parametrize(("kind", "hint"), [("hub", "6h"), ("ietf", "6h"), ("x", "7h")])
async def test_a_wait_that_is_too_long_is_an_error_at_once_that_says_all(tmp_path: Path, kind: Kind, hint: str) -> None:
    tide = Tide()
    quota = Quota(100, WINDOW, used=100, kind=kind, clock=tide.wall)
    async with serve(quota=quota) as registry, guests(1, tide.world(), limits=tmp_path, max_wait=900) as (guest,):
        [name] = fill(registry, 1)
        with pytest.raises(RateLimited) as caught:
            await pulled(guest.client, name)
        assert registry.journal.count("GET") == 0  # the HEAD of the tag has said it
    assert tide.slept == []
    text = str(caught.value)
    end = wording.clock_text(tide.now + WINDOW)[:13]  # by the hour, in local time
    for words in ("0 of 100 left", "at most 15m", f"it ends at {end}", f"--max-wait {hint}", "log in", registry.host):
        assert words in text


async def test_a_hub_that_says_it_by_message_only_is_believed() -> None:
    tide = Tide()
    quota = Quota(1, HOUR, tells=False, clock=tide.wall)
    async with serve(quota=quota) as registry, guests(1, tide.world(), max_wait=2 * HOUR) as (guest,):
        names = fill(registry, 4)
        async with tide.flowing(registry):
            await pulled(guest.client, names[0])
            await pulled(guest.client, names[1])
        assert guest.waits[-1].reason == "pull quota used up"
        assert registry.journal.count(status=429) <= LOOKS + 1


class Login:
    """One account."""

    def __init__(self, name: str) -> None:
        self._identity = KnownIdentity(f"{name} of the test", Credential(name, "marker-secret"))

    def identity(self, registry: str, repository: str) -> KnownIdentity:
        return self._identity


async def test_accounts_are_kept_apart_and_nobody_is_called_by_name(tmp_path: Path) -> None:
    tide = Tide()
    quota = Quota(2, WINDOW, per="user", clock=tide.wall)
    auth = Bearer({"ann": "marker-secret", "bob": "marker-secret"})
    async with serve(auth=auth, quota=quota) as registry:
        names = fill(registry, 4)
        people = [Login("ann"), Login("bob")]
        async with guests(
            2,
            tide.world(),
            limits=tmp_path,
            max_wait=60,
            keyring=lambda n: people[n],
            plain_http=(registry.host,),
        ) as (ann, bob):
            await pulled(ann.client, names[0])
            await pulled(ann.client, names[1])
            with pytest.raises(RateLimited):
                await pulled(ann.client, names[2])
            await pulled(bob.client, names[2])
            await pulled(bob.client, names[3])
    assert quota.left("ann") == quota.left("bob") == 0
    kept = _kept(tmp_path)
    for word in (b"ann", b"bob", b"marker"):
        assert word not in kept


async def test_a_host_that_has_had_enough_is_left_alone_by_all_and_others_flow(tmp_path: Path) -> None:
    """The abuse limit: a bare 429 for anything."""
    tide = Tide()
    async with serve() as registry, serve() as other, guests(2, tide.world(), limits=tmp_path) as (one, two):
        names, elsewhere = fill(registry, 20), fill(other, 5)
        registry.faults.append(faults.status(429, times=3, body=b"Too Many Requests"))
        async with tide.flowing(registry, other):
            await asyncio.gather(
                all_pulled(one.client, names[:10]),
                all_pulled(two.client, names[10:]),
                all_pulled(one.client, elsewhere),
            )
        assert registry.journal.count("GET", status=200) == 20
        assert other.journal.count(status=200) == len(other.journal)
    # All that were under way are refused at once; after the pause it is one that finds out.
    assert {wait.host for wait in (*one.waits, *two.waits)} == {registry.host}
    assert sum(tide.slept) < 60


async def test_pauses_grow_and_one_request_at_a_time_finds_out(tmp_path: Path) -> None:
    tide = Tide()
    start = tide.now
    async with serve() as registry, guests(2, tide.world(), limits=tmp_path) as (one, two):
        names = fill(registry, 2)
        async with tide.flowing(registry):
            await pulled(one.client, names[0])
            before = len(registry.journal)
            registry.faults.append(faults.status(429, times=4))
            await asyncio.gather(pulled(one.client, names[1]), pulled(two.client, names[1]))
        asked = [request.status for request in registry.journal.requests[before:]]
    assert asked.count(429) == 4
    assert 1 + 4 + 16 <= tide.now - start <= 1 + 4 + 16 + 60 + 5


async def test_n7_a_retry_after_that_is_too_long_is_an_error_for_everybody(tmp_path: Path) -> None:
    tide = Tide()
    busy = faults.status(429, headers={"Retry-After": "86400"}, times=None)
    async with serve(faults=[busy]) as registry, guests(2, tide.world(), limits=tmp_path, max_wait=900) as (one, two):
        names = fill(registry, 2)
        for guest in (one, two):
            with pytest.raises(RateLimited, match=r"the host asks for a pause, .* --max-wait 2[45]h\.") as caught:
                await pulled(guest.client, names[0])
            assert caught.value.retryable  # mirrors are asked instead
        assert len(registry.journal) == 1  # the second has heard of it
    assert tide.slept == []


async def test_requests_keep_the_pace_that_is_asked_for_over_all_clients(tmp_path: Path) -> None:
    tide = Tide()
    start = tide.now
    arrived: list[float] = []
    async with serve() as registry, guests(2, tide.world(), limits=tmp_path, request_rate=0.5) as two:
        names = fill(registry, 6)
        registry.on_request.append(lambda _: arrived.append(tide.now - start))
        async with tide.flowing(registry):
            await asyncio.gather(*(all_pulled(guest.client, names[3 * n : 3 * n + 3]) for n, guest in enumerate(two)))
    assert arrived == [2.0 * n for n in range(12)]


async def test_l6_clocks_that_jump_make_neither_a_storm_nor_an_endless_wait(tmp_path: Path) -> None:
    for jump in (86400.0, -86400.0):
        tide = Tide()
        start = tide.now
        quota = Quota(100, WINDOW, used=95, clock=tide.clock)
        folder = tmp_path / str(jump)
        async with serve(quota=quota) as registry, guests(2, tide.world(), limits=folder, max_wait=30 * HOUR) as two:
            names = fill(registry, 20)

            async def jumping(tide: Tide = tide, jump: float = jump) -> None:
                await tide.sleep(HOUR)
                tide.ahead = jump

            async with tide.flowing(registry):
                await asyncio.gather(
                    jumping(), *(all_pulled(guest.client, names[10 * n : 10 * n + 10]) for n, guest in enumerate(two))
                )
            assert registry.journal.count(status=429) <= 3 * LOOKS
        assert tide.now - start <= 2 * WINDOW + HOUR


async def test_a_wait_that_is_cancelled_ends_at_once_and_gives_back_what_it_held(tmp_path: Path) -> None:
    tide = Tide()
    quota = Quota(3, WINDOW, clock=tide.wall)
    async with serve(quota=quota) as registry, guests(1, tide.world(), limits=tmp_path) as (guest,):
        names = fill(registry, 6)
        waiting = asyncio.create_task(all_pulled(guest.client, names))
        await guest.waiting.wait()
        waiting.cancel()
        async with asyncio.timeout(1):
            with pytest.raises(asyncio.CancelledError):
                await waiting
        assert registry.journal.count("GET", kind="manifest") == 3
    record = Ledgers(tmp_path, tide.wall).of(registry.host).peek()
    assert all(not allowance.holds for allowance in record.accounts.values())


async def test_hosts_that_a_registry_sends_us_to_make_no_files(tmp_path: Path) -> None:
    tide = Tide()
    async with serve() as registry, serve(quota=Quota(5, 60)) as other, guests(1, tide.world(), limits=tmp_path) as one:
        [name], [there] = fill(registry, 1), fill(other, 1)
        elsewhere = f"{other.url}/v2/{there.partition('/')[2].replace(':', '/manifests/')}"
        registry.faults.append(faults.redirect(None, elsewhere, kind="manifest", times=None))
        await pulled(one[0].client, name)
        assert other.quota is not None
        assert other.quota.left() < 5
    assert _kept(tmp_path) == b""


async def test_a_registry_that_counts_nothing_leaves_no_trace(tmp_path: Path) -> None:
    tide = Tide()
    async with serve() as registry, guests(1, tide.world(), limits=tmp_path / "limits") as (guest,):
        await all_pulled(guest.client, fill(registry, 5))
    assert not (tmp_path / "limits").exists()
