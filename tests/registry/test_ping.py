"""Ping: what a registry that is all right offers, through mirrors and proxies, too."""

from puller.contracts.access import Endpoint
from puller.registry.pinging.finding import (
    Admitted,
    Clock,
    Greeted,
    Listed,
    Mirrored,
    Quota,
    Ranged,
    Reached,
    Referred,
    Resolved,
    SetUp,
    Trouble,
    Untried,
    Verdict,
)
from puller.registry.transport.proxy import Proxies, Proxy
from testregistry import faults, images, serve
from testregistry.proxy import serve_proxy
from tests.registry.mirrors.several import Listed as Listing
from tests.registry.pinging.asking import IMAGE, findings, is_usable, one
from tests.registry.scene import Time


async def test_a_registry_that_is_all_right_is_usable() -> None:
    async with serve() as registry:
        found = await findings(registry.host)
    assert is_usable(found)
    assert [type(finding) for finding in found] == [SetUp, Reached, Greeted, Clock, Admitted]
    assert one(found, SetUp).origin == registry.url
    greeting = one(found, Greeted)
    assert (greeting.status, greeting.schemes, greeting.http, greeting.keeps) == (200, (), "HTTP/1.1", True)
    assert abs(one(found, Clock).ahead) <= 1


async def test_a_repository_is_asked_for_tags_digest_ranges_and_referrers_and_nothing_is_changed() -> None:
    async with serve() as registry:
        digest = registry.add("app:1", IMAGE)
        registry.tag("app:2", digest)
        found = await findings(registry.name("app:1"))
        methods = {request.method for request in registry.journal}
        pulled = [asked for asked in registry.journal if (asked.method, asked.kind) == ("GET", "manifest")]
    assert is_usable(found)
    assert one(found, Listed).sample == ("1", "2")
    assert one(found, Resolved).digest == digest
    assert one(found, Ranged).honoured
    assert (one(found, Referred).api, one(found, Referred).count) == (True, 0)
    assert one(found, Untried).what == ("push", "mount", "delete")
    assert methods == {"GET", "HEAD"}
    assert len(pulled) == 1  # registries count that as a pull


async def test_an_image_of_an_index_is_looked_at_for_ranges() -> None:
    async with serve() as registry:
        registry.add("app:1", images.index(IMAGE))
        found = await findings(registry.name("app:1"))
    assert one(found, Ranged).honoured


async def test_registries_without_ranges_and_referrers_are_told_so() -> None:
    without = [faults.status(404, kind="referrers", times=None), faults.ignore_range(None, times=None)]
    async with serve(faults=without) as registry:
        registry.add("app:1", IMAGE)
        found = await findings(registry.name("app:1"))
    assert is_usable(found)
    assert (one(found, Ranged).verdict, one(found, Ranged).status) == (Verdict.WARN, 200)
    assert (one(found, Referred).api, one(found, Referred).count) == (False, 0)


async def test_the_host_that_blobs_are_sent_to_is_told() -> None:
    async with serve() as registry, serve() as other:
        for each in (registry, other):
            each.add("app:1", IMAGE)
        registry.faults.append(
            faults.redirect(None, lambda asked: f"{other.url}{asked.path}?sig=marker", kind="blob", times=None)
        )
        found = await findings(registry.name("app:1"))
    assert one(found, Ranged).host == other.host
    assert "marker" not in repr(found)


async def test_a_quota_is_told_with_its_window() -> None:
    told = {"RateLimit-Limit": "100;w=21600", "RateLimit-Remaining": "0;w=21600"}
    async with serve(faults=[faults.headers(None, add=told, kind="manifest", times=None)]) as registry:
        registry.add("app:1", IMAGE)
        found = await findings(registry.name("app:1"))
    quota = one(found, Quota)
    assert (quota.verdict, quota.limit, quota.left, quota.window) == (Verdict.WARN, 100, 0, 21600)


async def test_a_repository_that_is_not_there_is_a_failure() -> None:
    async with serve() as registry:
        found = await findings(registry.name("app:1"))
    assert not is_usable(found)
    assert {finding.step for finding in found if isinstance(finding, Trouble)} == {"tags", "manifest"}


async def test_a_registry_that_asks_for_patience_is_not_waited_for() -> None:
    time = Time()
    patience = faults.status(429, headers={"Retry-After": "60"}, kind="manifest", times=None)
    async with serve(faults=[patience]) as registry:
        registry.add("app:1", IMAGE)
        found = await findings(registry.name("app:1"), world=time.world(real_clock=True))
    assert not is_usable(found)
    assert one(found, Trouble).error.retryable
    assert time.slept == []


async def test_a_registry_that_fails_is_asked_once() -> None:
    async with serve(faults=[faults.status(503, kind="ping", times=None)]) as registry:
        found = await findings(registry.host)
        assert len(registry.journal) == 1
    assert one(found, Greeted).problem == "fails"


async def test_mirrors_are_told_and_asked_and_a_dead_one_is_a_warning() -> None:
    async with serve() as dead:
        pass
    async with serve() as mirror, serve() as registry:
        endpoints = [Endpoint(each.host, "ping", is_mirror=True) for each in (dead, mirror)]
        found = await findings(registry.host, routes=Listing([*endpoints, Endpoint(registry.host, "ping")]))
    assert is_usable(found)
    assert one(found, SetUp).mirrors == (dead.host, mirror.host)
    answers = [finding for finding in found if isinstance(finding, Mirrored)]
    assert [(finding.verdict, finding.status) for finding in answers] == [(Verdict.WARN, None), (Verdict.OK, 200)]


async def test_mirrors_are_asked_where_the_registry_cannot_be() -> None:
    async with serve() as dead:
        pass
    async with serve() as mirror:
        endpoints = [Endpoint(mirror.host, "ping", is_mirror=True), Endpoint(dead.host, "ping")]
        found = await findings(dead.host, routes=Listing(endpoints))
    assert not is_usable(found)
    assert (one(found, Mirrored).verdict, one(found, Mirrored).status) == (Verdict.OK, 200)


async def test_behind_a_proxy_the_proxy_is_reached_and_the_registry_through_it() -> None:
    async with serve() as registry, serve_proxy(hosts={"registry.test": "127.0.0.1"}) as proxy:
        name = f"registry.test:{registry.host.rpartition(':')[2]}"
        through = Proxy.parse(proxy.url)
        found = await findings(name, plain_http=[name], proxies=Proxies(through, through))
    assert is_usable(found)
    assert one(found, SetUp).proxy == proxy.url
    assert one(found, Reached).proxy == proxy.url
    assert proxy.targets()


async def test_b15_a_proxy_that_refuses_is_told_without_its_password() -> None:
    async with serve_proxy(users={"me": "right"}) as proxy:
        through = Proxy.parse(proxy.url.replace("http://", "http://me:marker-proxy@"))
        found = await findings("registry.test", proxies=Proxies(through, through))
    assert not is_usable(found)
    assert one(found, Trouble).step == "proxy"
    assert "407" in str(one(found, Trouble).error)
    assert "marker-proxy" not in repr(found) + str(one(found, Trouble).error)
