"""The ways to a registry that people have at work: proxies, private authorities, client certificates, a blob host."""

import base64
import json
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from puller.version import VERSION
from testregistry import Bearer, TestRegistry, faults, images
from testregistry.cdn import Cdn, serve_cdn
from testregistry.certificates import Authority
from testregistry.proxy import Fault, ForwardProxy, serve_proxy
from testregistry.socks import SocksServer, serve_socks
from tests.cli.conftest import Puller
from tests.cli.serving import in_a_thread, serving
from tests.registry.scene import content

pytestmark = pytest.mark.slow  # many small tests: for `make test`

HOSTS = {"registry.test": "127.0.0.1", "cdn.test": "127.0.0.1"}
LARGE = images.layer({"data": content(3_000_000)})
IMAGE = images.image(LARGE, images.layer({"etc/motd": b"hello\n"}))
SECRET = "s3cret-Marker"
PROXY_SECRET = "pr0xy-Marker"


@dataclass
class Office:
    """A registry that only the proxies of the house can find, over TLS with an authority of the house."""

    registry: TestRegistry
    proxy: ForwardProxy
    socks: SocksServer
    ca: Path

    @property
    def name(self) -> str:
        return f"registry.test:{self.registry.host.rpartition(':')[2]}"


@contextmanager
def office(folder: Path, *, users: dict[str, str] | None = None, auth: Bearer | None = None) -> Iterator[Office]:
    authority = Authority(folder)
    with ExitStack() as stack:
        registry = stack.enter_context(serving(tls=authority.server("registry.test", "127.0.0.1"), auth=auth))
        registry.add("app:1", IMAGE)
        proxy = stack.enter_context(in_a_thread(lambda: serve_proxy(hosts=HOSTS, users=users)))
        socks = stack.enter_context(in_a_thread(lambda: serve_socks(hosts=HOSTS, users=users)))
        house = Office(registry, proxy, socks, authority.file)
        if auth is not None:
            auth.realm = f"https://{house.name}/token"
        yield house


def is_anywhere(home: Path, secret: str, *texts: str) -> bool:
    """Whether a secret, or the form it takes in Basic, stands in a text or in a file of the store."""
    held = [path.read_bytes() for path in (home / "store").rglob("*") if path.is_file()]
    whole = "\n".join(texts).encode() + b"".join(held)
    return secret.encode() in whole or base64.b64encode(f"bob:{secret}".encode()) in whole


def test_a_pull_through_a_forward_proxy_of_a_registry_with_an_authority_of_its_own(
    puller: Puller, tmp_path: Path
) -> None:
    with office(tmp_path) as house:
        end = puller(f"{house.name}/app:1", "--proxy", house.proxy.url, "--ca", str(house.ca))
        assert (end.code, end.out.split("  ")[0]) == (0, f"pulled {house.name}/app:1")
        assert set(house.proxy.targets()) == {house.name}
        assert {request.headers["User-Agent"] for request in house.registry.journal} == {f"puller/{VERSION}"}
        assert {asked.headers["user-agent"] for asked in house.proxy.requests} == {f"puller/{VERSION}"}


@pytest.mark.parametrize("scheme", ["socks5h", "socks4a"])
def test_a_pull_through_socks(puller: Puller, tmp_path: Path, scheme: str) -> None:
    with office(tmp_path) as house:
        end = puller(f"{house.name}/app:1", "--proxy", f"{scheme}://{house.socks.host}", "--ca", str(house.ca))
        assert end.code == 0
        assert {(seen.host, seen.is_name) for seen in house.socks.requests} == {("registry.test", True)}


def test_a_push_through_a_forward_proxy(puller: Puller, tmp_path: Path) -> None:
    with office(tmp_path) as house:
        way = ["--proxy", house.proxy.url, "--ca", str(house.ca)]
        assert puller(f"{house.name}/app:1", *way).code == 0
        assert puller("push", f"{house.name}/app:1", f"{house.name}/other:2", *way).code == 0
        assert house.registry.storage.blob("other", LARGE.digest) is not None
        assert "PUT" in {request.method for request in house.registry.journal}


def test_an_archive_is_imported_from_the_web_through_a_forward_proxy(puller: Puller, tmp_path: Path) -> None:
    with office(tmp_path) as house:
        url = f"https://{house.name}/v2/app/blobs/{LARGE.digest}"
        end = puller("import", url, "--digest", LARGE.digest, "--proxy", house.proxy.url, "--ca", str(house.ca))
        assert end.code == 0, end.err
        assert house.proxy.targets() == [house.name]


@pytest.mark.parametrize("kind", ["http", "socks5h"])
def test_b15_a_proxy_with_a_password(puller: Puller, home: Path, tmp_path: Path, kind: str) -> None:
    with office(tmp_path, users={"bob": PROXY_SECRET}) as house:
        host = house.proxy.host if kind == "http" else house.socks.host
        report = tmp_path / "report.json"
        words = [f"{house.name}/app:1", "--ca", str(house.ca), "--debug", "--report", str(report)]
        end = puller(*words, "--proxy", f"{kind}://bob:{PROXY_SECRET}@{host}")
        assert end.code == 0
        assert not is_anywhere(home, PROXY_SECRET, end.out, end.err, report.read_text())
        for request in house.registry.journal:
            assert not [name for name in request.headers if name.lower().startswith("proxy-")]
        end = puller(*words, "--proxy", f"{kind}://bob:{PROXY_SECRET}no@{host}")
        assert end.code == 1
        assert not is_anywhere(home, PROXY_SECRET, end.out, end.err, report.read_text())
        assert host in end.err


def test_b15_a_proxy_hears_nothing_of_a_registrys_secrets(puller: Puller, home: Path, tmp_path: Path) -> None:
    with office(tmp_path, auth=Bearer({"me": SECRET}, separate=False, anonymous=set())) as house:
        (home / ".docker").mkdir()
        auth = base64.b64encode(f"me:{SECRET}".encode()).decode()
        (home / ".docker" / "config.json").write_text(json.dumps({"auths": {house.name: {"auth": auth}}}))
        assert puller(f"{house.name}/app:1", "--proxy", house.proxy.url, "--ca", str(house.ca)).code == 0
        assert "authorization" not in {name for asked in house.proxy.requests for name in asked.headers}
        for secret in (SECRET, auth, "Bearer"):
            assert not house.proxy.saw(secret)
        assert house.registry.journal.count(kind="token") > 0


def test_b19_proxies_of_the_environment_count_only_when_asked_for(
    puller: Puller, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with office(tmp_path) as house:
        for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "HTTP_PROXY"):
            monkeypatch.setenv(name, house.proxy.url)
        words = [f"{house.name}/app:1", "--ca", str(house.ca)]
        assert puller(*words).code == 1  # nobody but the proxy knows that name
        assert house.proxy.connections == 0
        assert puller(*words, "--proxy", "env").code == 0
        assert house.proxy.connections > 0


def test_no_proxy_of_the_environment_counts_with_it(
    puller: Puller, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with office(tmp_path) as house:
        monkeypatch.setenv("https_proxy", house.proxy.url)
        monkeypatch.setenv("no_proxy", "elsewhere.test,.test")
        assert puller(f"{house.name}/app:1", "--ca", str(house.ca), "--proxy", "env").code == 1
        assert house.proxy.connections == 0


def test_what_the_environment_names_wrongly_is_told_by_its_variable_and_without_its_value(
    puller: Puller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"gopher://bob:{PROXY_SECRET}@proxy.test")
    end = puller("registry.test/app:1", "--proxy", "env")
    assert end.code == 2
    assert "$HTTPS_PROXY" in end.err
    assert PROXY_SECRET not in end.err


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (Fault(status=403, times=None), "the proxy does not allow it"),
        (Fault(status=407, times=None), "the proxy wants credentials"),
    ],
)
def test_a_proxy_that_refuses_is_told_by_name(puller: Puller, tmp_path: Path, fault: Fault, said: str) -> None:
    with office(tmp_path) as house:
        house.proxy.faults.append(fault)
        end = puller(f"{house.name}/app:1", "--proxy", house.proxy.url, "--ca", str(house.ca))
        assert end.code == 1
        assert said in end.err
        assert house.proxy.url in end.err
        assert len(house.proxy.requests) == 1


@contextmanager
def blob_host(house: Office, folder: Path) -> Iterator[Cdn]:
    tls = Authority(folder).server("cdn.test")
    with in_a_thread(lambda: serve_cdn(house.registry, tls=tls)) as cdn:
        cdn.url = f"https://cdn.test:{cdn.host.rpartition(':')[2]}"
        house.registry.faults.append(cdn.redirect())
        yield cdn


def test_n13_signed_urls_that_expire_in_mid_download_are_renewed_through_the_proxy(
    puller: Puller, home: Path, tmp_path: Path
) -> None:
    with office(tmp_path) as house, blob_host(house, tmp_path) as cdn:
        cdn.faults.append(faults.cut(LARGE.digest, after=1_500_000))

        def expire_once(request: object) -> None:
            if cdn.journal.gets(LARGE.digest) == 1:
                cdn.expire()

        cdn.service.on_answer.append(expire_once)
        report = tmp_path / "report.json"
        words = [f"{house.name}/app:1", "--proxy", house.proxy.url, "--ca", str(house.ca), "--report", str(report)]
        end = puller(*words, "--debug")
        assert end.code == 0, end.err
        assert {target.partition(":")[0] for target in house.proxy.targets()} == {"registry.test", "cdn.test"}
        assert any(asked is not None for asked in cdn.journal.ranges(LARGE.digest))
        assert house.registry.journal.gets(LARGE.digest) > 1  # where a new URL is to be had
        assert "cdn.test" in report.read_text()
        assert not is_anywhere(home, "sig=", end.out, end.err, report.read_text())
        for request in cdn.journal:
            assert "Authorization" not in request.headers


def test_a_registry_that_demands_a_client_certificate_finds_it_where_docker_keeps_it(
    puller: Puller, home: Path, tmp_path: Path
) -> None:
    authority = Authority(tmp_path)
    with serving(tls=authority.server(clients=authority)) as registry:
        registry.add("app:1", IMAGE)
        assert puller(registry.name("app:1"), "--ca", str(authority.file)).code == 1
        folder = tmp_path / "root" / "etc" / "docker" / "certs.d" / registry.host
        folder.mkdir(parents=True)
        shutil.copy(authority.file, folder / "ca.crt")
        for file in authority.pair():
            shutil.copy(file, folder)
        end = puller(registry.name("app:1"))
        assert end.code == 0, end.err
        assert all(request.certificate for request in registry.journal)


def test_one_connection_is_enough_when_no_more_are_allowed(puller: Puller, registry: TestRegistry) -> None:
    registry.add("app:1", IMAGE)
    assert puller(registry.name("app:1"), "--connections", "1").code == 0
    assert len(registry.journal) >= 4
    assert len({request.port for request in registry.journal}) == 1


def test_a_limit_on_the_rate_changes_nothing_but_the_time(puller: Puller, registry: TestRegistry) -> None:
    registry.add("app:1", IMAGE)
    assert puller(registry.name("app:1"), "--limit-rate", "20M").code == 0
    assert puller("verify", "--all").code == 0
