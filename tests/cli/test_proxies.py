"""Which proxies a command line and its environment name."""

import pytest
from yarl import URL

from puller.cli.environment import proxy_variables
from puller.cli.registries import known_proxies
from puller.registry.transport.origin import Origin


@pytest.mark.parametrize(
    ("environ", "told"),
    [
        ({}, {}),
        ({"HTTPS_PROXY": "a:1"}, {"https": ("$HTTPS_PROXY", "a:1")}),
        ({"https_proxy": "a:1", "HTTPS_PROXY": "b:2"}, {"https": ("$https_proxy", "a:1")}),
        ({"https_proxy": "", "HTTPS_PROXY": "b:2"}, {"https": ("$HTTPS_PROXY", "b:2")}),
        ({"http_proxy": "a:1"}, {"http": ("$http_proxy", "a:1")}),
        ({"HTTP_PROXY": "a:1"}, {"http": ("$HTTP_PROXY", "a:1")}),
        ({"HTTP_PROXY": "evil:1", "REQUEST_METHOD": "GET"}, {}),  # a header `Proxy:` of whoever asks a CGI program
        ({"http_proxy": "a:1", "REQUEST_METHOD": "GET"}, {"http": ("$http_proxy", "a:1")}),
        ({"ALL_PROXY": "a:1", "NO_PROXY": "x"}, {"all": ("$ALL_PROXY", "a:1"), "no": ("$NO_PROXY", "x")}),
    ],
)
def test_the_environment_is_read_as_curl_reads_it(environ: dict[str, str], told: dict[str, tuple[str, str]]) -> None:
    assert proxy_variables(environ) == told


def way(url: str, given: str | None) -> str | None:
    proxy = known_proxies(given, ca=None).way(Origin.of(URL(url)))
    return None if proxy is None else str(proxy)


@pytest.fixture
def variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http", "https", "all", "no"):
        monkeypatch.delenv(f"{name}_proxy", raising=False)
        monkeypatch.delenv(f"{name.upper()}_PROXY", raising=False)
    monkeypatch.delenv("REQUEST_METHOD", raising=False)
    monkeypatch.setenv("HTTPS_PROXY", "secure.test:1")
    monkeypatch.setenv("ALL_PROXY", "socks5h://all.test")
    monkeypatch.setenv("NO_PROXY", "inside.test")


@pytest.mark.parametrize(
    ("url", "proxy"),
    [
        ("https://registry.test/", "http://secure.test:1"),
        ("http://registry.test/", "socks5h://all.test:1080"),
        ("https://inside.test/", None),
    ],
)
@pytest.mark.usefixtures("variables")
def test_env_means_those_of_the_environment(url: str, proxy: str | None) -> None:
    assert way(url, "env") == proxy


@pytest.mark.usefixtures("variables")
def test_b19_a_proxy_that_is_named_is_the_only_one_and_nothing_of_the_environment_counts() -> None:
    assert way("https://inside.test/", "named.test:8080") == "http://named.test:8080"
    assert way("http://registry.test/", "named.test:8080") == "http://named.test:8080"
    assert way("https://registry.test/", None) is None
