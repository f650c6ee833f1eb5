"""Proxies as they are written, and the way to a host."""

import pytest
from yarl import URL

from puller.errors import InvalidConfig
from puller.registry.transport.noproxy import NoProxy
from puller.registry.transport.origin import Origin
from puller.registry.transport.proxy import STRAIGHT, Proxies, Proxy


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://proxy.test:3128", "http://proxy.test:3128"),
        ("proxy.test:3128", "http://proxy.test:3128"),
        ("proxy.test", "http://proxy.test:80"),
        ("http://proxy.test/", "http://proxy.test:80"),
        ("HTTP://Proxy.Test", "http://proxy.test:80"),
        ("https://proxy.test", "https://proxy.test:443"),
        ("socks5://proxy.test", "socks5://proxy.test:1080"),
        ("socks5h://127.0.0.1:9050", "socks5h://127.0.0.1:9050"),
        ("socks4a://proxy.test", "socks4a://proxy.test:1080"),
        ("http://[::1]:3128", "http://[::1]:3128"),
        ("http://bob:secret@proxy.test:3128", "http://proxy.test:3128"),
    ],
)
def test_a_proxy_is_a_url_or_a_host(text: str, shown: str) -> None:
    assert str(Proxy.parse(text)) == shown


@pytest.mark.parametrize(
    "text",
    [
        "",
        "http://",
        "ftp://proxy.test",
        "socks4://proxy.test",
        "http://proxy.test:99999",
        "http://proxy.test:0",
        "http://proxy.test:port",
        "http://proxy.test/path",
        "http://proxy.test?x=marker",
        "http://proxy.test#marker",
        "http://bob:mark#er@proxy.test:3128",
        "http://bob:12/34marker@proxy.test:3128",
        "http://bob:marker@pro xy.test",
        "http://bob:marker@127.1",
        "http://bo%3Ab:marker@proxy.test",
        "http://bob:mar%0Aker@proxy.test",
        "socks5://bob@proxy.test",
        "socks5://:marker@proxy.test",
        "socks5://bob:m%C3%A4rker@proxy.test",
        f"socks5://bob:{'marker' * 50}@proxy.test",
        "socks4a://bob:marker@proxy.test",
    ],
)
def test_b15_what_is_no_proxy_is_refused_without_showing_it(text: str) -> None:
    with pytest.raises(InvalidConfig) as caught:
        Proxy.parse(text, where="$HTTPS_PROXY")
    assert caught.value.where == "$HTTPS_PROXY"
    assert "marker" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_user_and_password_are_decoded_and_never_shown() -> None:
    proxy = Proxy.parse("http://b%40b:p%3A%2F%C3%BC@proxy.test")
    assert (proxy.username, proxy.password) == ("b@b", "p:/ü")
    assert proxy.authorization == "Basic YkBiOnA6L8O8"
    assert "b@b" not in repr(proxy) + str(proxy)


def test_without_user_nothing_is_said_to_the_proxy() -> None:
    assert Proxy.parse("http://proxy.test").authorization is None


@pytest.mark.parametrize(
    ("url", "way"),
    [
        ("http://registry.test/", "http://plain.test:80"),
        ("https://registry.test/", "http://secure.test:80"),
        ("https://inside.test/", None),
        ("https://10.1.2.3:5000/", None),
        ("http://localhost:5000/", None),
        ("https://registry.localhost/", None),
        ("https://127.0.0.1/", None),
        ("https://127.8.8.8/", None),
        ("https://[::1]:5000/", None),
    ],
)
def test_the_way_to_a_host(url: str, way: str | None) -> None:
    proxies = Proxies(Proxy.parse("plain.test"), Proxy.parse("secure.test"), NoProxy.parse("inside.test,10.0.0.0/8"))
    found = proxies.way(Origin.of(URL(url)))
    assert (None if found is None else str(found)) == way


def test_b19_without_a_proxy_all_ways_are_straight() -> None:
    assert STRAIGHT.way(Origin.of(URL("https://registry.test/"))) is None
