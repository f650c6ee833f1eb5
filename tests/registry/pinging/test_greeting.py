"""Greeting: what answers at the door, and whether it lets us in."""

import pytest

from puller.contracts.access import Credential
from puller.registry.pinging.finding import (
    Admitted,
    Clock,
    Greeted,
    Tokens,
    Trouble,
    Verdict,
)
from testregistry import Basic, Bearer, faults, serve
from testregistry.raw import serve_script
from tests.registry.pinging.asking import ANN, IMAGE, USERS, findings, is_usable, one
from tests.registry.scene import Names, Time


async def test_a_web_server_that_is_no_registry_is_told() -> None:
    async with serve(faults=[faults.status(404, kind="ping", times=None)]) as registry:
        found = await findings(registry.host)
    assert one(found, Greeted).problem == "no-registry"


async def test_a_page_for_people_is_told_from_a_registry() -> None:
    page = b"<html>Please accept the terms of this network</html>"
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: %d\r\n\r\n" % len(page)
    async with serve_script(lambda request: head + page) as portal:
        found = await findings(portal.host)
    assert one(found, Greeted).problem == "web-page"


async def test_a_redirect_to_a_page_for_people_is_told_from_a_registry() -> None:
    page = b"HTTP/1.1 403 Forbidden\r\nContent-Type: text/html\r\nContent-Length: 0\r\n\r\n"
    async with serve_script(lambda request: page) as portal, serve() as registry:
        registry.faults.append(faults.redirect(None, f"{portal.url}/login", kind="ping", times=None))
        found = await findings(registry.host)
    assert one(found, Greeted).problem == "web-page"
    assert one(found, Greeted).server == portal.host


async def test_a_server_of_old_http_keeps_no_connections() -> None:
    answer = b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\nDocker-Distribution-Api-Version: registry/2.0\r\n\r\n{}"
    async with serve_script(lambda request: answer) as old:
        found = await findings(old.host)
    greeting = one(found, Greeted)
    assert (greeting.http, greeting.keeps, greeting.api_version) == ("HTTP/1.0", False, "registry/2.0")


async def test_nginx_that_wants_a_client_certificate_is_told() -> None:
    text = b"<html>400 No required SSL certificate was sent</html>"
    answer = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n" % len(text) + text
    async with serve_script(lambda request: answer) as nginx:
        found = await findings(nginx.host)
    assert one(found, Greeted).problem == "wants-certificate"


async def test_a_clock_that_is_off_is_a_warning() -> None:
    time = Time(1_000.0)
    async with serve() as registry:
        found = await findings(registry.host, world=time.world(real_clock=True))
    assert one(found, Clock).verdict is Verdict.WARN
    assert one(found, Clock).ahead < -1_000_000


@pytest.mark.parametrize("auth", [Basic(USERS), Bearer(USERS, anonymous=set())], ids=["basic", "bearer"])
async def test_an_account_that_is_let_in_is_told_by_its_name_and_not_its_secret(auth: Basic | Bearer) -> None:
    async with serve(auth=auth) as registry:
        registry.add("app:1", IMAGE)
        found = await findings(registry.name("app:1"), credential=ANN, plain_http=[registry.host])
    assert is_usable(found)
    entry = one(found, Admitted)
    assert (entry.account, entry.checked) == ("the test's", True)
    assert "marker-password" not in repr(found)


@pytest.mark.parametrize("auth", [Basic(USERS), Bearer(USERS, anonymous=set())], ids=["basic", "bearer"])
async def test_a_wrong_password_is_told_from_no_account(auth: Basic | Bearer) -> None:
    async with serve(auth=auth) as registry:
        wrong = await findings(registry.host, credential=Credential("ann", "wrong"), plain_http=[registry.host])
    assert not is_usable(wrong)
    assert (one(wrong, Admitted).account, one(wrong, Admitted).checked) == ("the test's", True)


async def test_no_account_where_one_is_wanted_is_told() -> None:
    async with serve(auth=Basic(USERS)) as registry:
        found = await findings(registry.host)
    assert not is_usable(found)
    assert (one(found, Admitted).account, one(found, Admitted).checked) == ("", False)
    assert one(found, Greeted).schemes == ("basic",)


async def test_b1_an_account_for_plain_http_that_nobody_named_is_not_shown() -> None:
    async with serve(auth=Basic(USERS)) as registry:
        found = await findings(registry.host, credential=ANN)
        assert all("Authorization" not in request.headers for request in registry.journal)
    assert "--plain-http" in one(found, Admitted).hint


async def test_b3_a_token_server_of_another_owner_is_told_with_what_would_trust_it() -> None:
    async with serve(auth=Bearer(USERS, realm="https://login.evil.test/token")) as registry:
        name = f"registry.good.test:{registry.host.rpartition(':')[2]}"
        names = Names({"registry.good.test": "127.0.0.1"})
        found = await findings(name, credential=ANN, plain_http=[name], names=names)
    served = one(found, Tokens)
    assert (served.host, served.trusted, served.verdict) == ("login.evil.test", False, Verdict.WARN)


async def test_b3_a_token_server_that_may_not_be_asked_ends_it() -> None:
    async with serve(auth=Bearer(USERS, realm="http://169.254.169.254/latest")) as registry:
        found = await findings(registry.host)
    assert one(found, Tokens).verdict is Verdict.FAIL
    assert not [finding for finding in found if isinstance(finding, Admitted)]


async def test_b14_a_malformed_challenge_is_told() -> None:
    bad = faults.status(401, headers={"WWW-Authenticate": 'Bearer realm="x", realm="y"'}, kind="ping", times=None)
    async with serve(faults=[bad]) as registry:
        found = await findings(registry.host)
    assert one(found, Trouble).step == "registry"
