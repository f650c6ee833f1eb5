import pytest
from yarl import URL

from puller.errors import UnsafeRedirect
from puller.registry.transport.redirect import MAX_HOPS, Trail

HOME = "https://registry.test/v2/app/blobs/sha256:00"


def trail(start: str = HOME) -> Trail:
    return Trail(URL(start, encoded=True))


@pytest.mark.parametrize(
    ("location", "url"),
    [
        ("https://cdn.test/x", "https://cdn.test/x"),
        ("/other", "https://registry.test/other"),
        ("other", "https://registry.test/v2/app/blobs/other"),
        ("//cdn.test/x", "https://cdn.test/x"),
        ("?again=1", "https://registry.test/v2/app/blobs/sha256:00?again=1"),
        ("https://cdn.test/x#part", "https://cdn.test/x"),
    ],
)
def test_n14_absolute_and_relative_locations_are_followed(location: str, url: str) -> None:
    hops = trail()
    hops.follow([location])
    assert str(hops.url) == url


@pytest.mark.parametrize(
    "query", ["sig=a%2Bb%2fc%3D&x=%20", "sig=a+b/c==&x=1%2C2", "X-Amz-Credential=AK%2F2020%2Fs3&k=;a:b@c", "a=%c3%a4"]
)
def test_b5_a_signed_url_is_kept_byte_for_byte(query: str) -> None:
    hops = trail()
    hops.follow([f"https://cdn.test/a%2Fb/%7Ec?{query}"])
    assert str(hops.url) == f"https://cdn.test/a%2Fb/%7Ec?{query}"


@pytest.mark.parametrize(
    "location",
    [
        "https://registry.test:444/x",
        "https://cdn.registry.test/x",
        "https://test/x",
        "//registry.test.evil.test/x",
        "https://registry.test./x",
    ],
)
def test_b5_another_origin_is_not_home(location: str) -> None:
    hops = trail()
    hops.follow([location])
    assert not hops.at_home


def test_b5_the_same_origin_spelt_out_is_home() -> None:
    hops = trail()
    hops.follow(["HTTPS://REGISTRY.test:443/x"])
    assert hops.at_home


def test_b5_who_has_left_home_does_not_come_back_to_it() -> None:
    hops = trail()
    hops.follow(["https://evil.test/x"])
    hops.follow(["https://registry.test/v2/secret/blobs/x"])
    assert not hops.at_home


@pytest.mark.parametrize("location", ["http://registry.test/x", "http://cdn.test/x"])
def test_b5_https_never_leads_to_http(location: str) -> None:
    with pytest.raises(UnsafeRedirect, match="from https to http"):
        trail().follow([location])


def test_plain_http_may_lead_to_https() -> None:
    hops = trail("http://127.0.0.1:5000/v2/")
    hops.follow(["https://cdn.test/x"])
    assert hops.origin.scheme == "https"


@pytest.mark.parametrize(
    "location",
    [
        "https://user:pw@evil.test/",
        "https://user@evil.test/",
        "https://good.test@evil.test/",
        "https://registry.test%40evil.test/",
        "https://user%3Apw%40evil.test/",
        "//user@evil.test/",
        "https://@evil.test/",
    ],
)
def test_b7_a_location_that_chooses_credentials_is_refused(location: str) -> None:
    with pytest.raises(UnsafeRedirect, match=r"chooses credentials|no host") as caught:
        trail().follow([location])
    assert "pw" not in str(caught.value)


@pytest.mark.parametrize(
    "location",
    [
        "file:///etc/passwd", "gopher://evil.test/", "ftp://evil.test/x", "javascript:alert(1)", "data:,x",
        "unix:/run/x", "", " ", "https://", "https:///x", "https://[::1", "https://evil.test\\@registry.test/",
        "https://ev il.test/", "https://evil.test/\r\nX: y", "https://evil.test/\x00", "https://évil.test/", "https://a:b/",
        "https://evil.test:99999/", "https://" + "a" * 20_000,
    ],
)  # fmt: skip
def test_n14_what_is_no_http_url_is_refused(location: str) -> None:
    with pytest.raises(UnsafeRedirect):
        trail().follow([location])


@pytest.mark.parametrize(
    "location",
    [
        "http://a..b/x", f"http://{'a' * 64}/x", f"http://{'a' * 64}.test/x", "http://.a/", "http://a../", "http://./",
        "http://[::::::]/", "http://[1]/", "//a..b/x", "http://-a.test/", "http://127.1/", "http://0x7f000001/",
        "http://2130706433/", "http://a.1/", f"http://{'a.' * 130}test/",
    ],
)  # fmt: skip
def test_n14_a_host_that_is_no_plain_name_or_address_is_refused(location: str) -> None:
    with pytest.raises(UnsafeRedirect, match=r"no host|no URL"):
        trail("http://127.0.0.1:5000/v2/").follow([location])


def test_a_host_that_the_user_has_named_may_be_spelt_in_any_way() -> None:
    hops = trail("http://127.1:5000/v2/")
    hops.follow(["/there"])
    assert str(hops.url) == "http://127.1:5000/there"


@pytest.mark.parametrize("locations", [[], ["https://a.test/", "https://b.test/"]])
def test_a_redirect_needs_exactly_one_location(locations: list[str]) -> None:
    with pytest.raises(UnsafeRedirect, match="exactly one"):
        trail().follow(locations)


def test_n14_a_circle_is_noticed() -> None:
    hops = trail()
    hops.follow(["https://cdn.test/x"])
    with pytest.raises(UnsafeRedirect, match="circle"):
        hops.follow([HOME])


def test_n14_ten_hops_are_allowed_and_eleven_are_not() -> None:
    hops = trail()
    for hop in range(MAX_HOPS):
        hops.follow([f"/hop/{hop}"])
    with pytest.raises(UnsafeRedirect, match="too many"):
        hops.follow(["/hop/last"])


def test_b15_errors_show_no_query() -> None:
    hops = trail()
    hops.follow(["https://cdn.test/x?sig=marker"])
    with pytest.raises(UnsafeRedirect) as caught:
        hops.follow(["http://cdn.test/y?sig=marker"])
    assert "marker" not in str(caught.value)
