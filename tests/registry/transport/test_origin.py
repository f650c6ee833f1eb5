import pytest
from yarl import URL

from puller.contracts.access import Protection
from puller.errors import InvalidReference
from puller.model.reference import Reference
from puller.registry.transport.origin import Origin, redacted, registry_origin


def test_docker_hub_is_served_by_another_host_than_its_name() -> None:
    assert str(registry_origin("docker.io")) == "https://registry-1.docker.io"


@pytest.mark.parametrize(
    "registry", ["quay.io", "registry.test:5000", "10.0.0.1:5000", "[2001:db8::1]:5000", "1.2.3.4"]
)
def test_b1_a_registry_elsewhere_is_spoken_to_by_https_only(registry: str) -> None:
    assert registry_origin(registry).scheme == "https"


@pytest.mark.parametrize("registry", ["127.0.0.1:5000", "localhost:5000", "localhost", "[::1]:5000", "127.9.9.9"])
def test_b1_a_loopback_registry_may_be_spoken_to_in_plain_http(registry: str) -> None:
    assert registry_origin(registry).scheme == "http"


@pytest.mark.parametrize(
    "registry", ["127.0.0.1.evil.test", "localhost.evil.test", "127.evil.test:5000", "0.0.0.0:5000"]
)
def test_b1_a_name_that_only_looks_like_loopback_is_not(registry: str) -> None:
    assert registry_origin(registry).scheme == "https"


def test_b1_plain_http_is_for_registries_named_for_it() -> None:
    assert registry_origin("registry.test:5000", Protection.PLAIN).scheme == "http"
    assert registry_origin("registry.test:5000").scheme == "https"


def test_loopback_registries_can_be_held_to_tls() -> None:
    assert registry_origin("127.0.0.1:5000", Protection.TLS).scheme == "https"


def test_origins_differ_by_scheme_host_and_port() -> None:
    urls = ("http://a.test", "https://a.test", "https://b.test", "https://a.test:444", "https://x.a.test")
    assert len({Origin.of(URL(url)) for url in urls}) == len(urls)


def test_the_default_port_and_the_case_of_the_host_make_no_other_origin() -> None:
    assert Origin.of(URL("https://A.test:443/x", encoded=True)) == Origin.of(URL("https://a.test"))


@pytest.mark.parametrize("host", ["xn--bcher-kva.example", "xn--a.example", "xn--a"])
def test_a_host_of_other_letters_is_called_as_it_is_asked_for_whether_it_means_any_or_not(host: str) -> None:
    origin = Origin.of(URL(f"https://{host}/v2/", encoded=True))
    assert (origin.host, registry_origin(f"{host}:5000").netloc) == (host, f"{host}:5000")


def test_an_ipv6_origin_is_written_with_brackets() -> None:
    assert str(Origin.of(URL("http://[::1]:5000/v2/"))) == "http://[::1]:5000"


@pytest.mark.parametrize("registry", ["[1]", "[::::::]", "a" * 64 + ".test"])
def test_a6_a_reference_to_what_is_no_host_ends_before_an_origin_is_asked_for(registry: str) -> None:
    with pytest.raises(InvalidReference):
        registry_origin(Reference.parse(f"{registry}/app").registry)


def test_b15_a_shown_url_has_neither_query_nor_fragment_nor_user() -> None:
    shown = redacted("https://user:hunter2@cdn.test/blob?sig=marker#marker")
    assert shown == "https://cdn.test/blob"


@pytest.mark.parametrize("url", ["hunter2", "file:///etc/marker", "http://[bad/marker", "http:///marker", "\x1b]52;c"])
def test_b15_what_is_no_url_is_not_shown_at_all(url: str) -> None:
    assert "marker" not in redacted(url)
    assert "hunter2" not in redacted(url)
    assert redacted(url).isprintable()
