"""Which hosts are asked without the proxy: the cases of Go's httpproxy, whose rules these are."""

import pytest

from puller.registry.transport.noproxy import NoProxy


@pytest.mark.parametrize(
    ("text", "host", "port", "covered"),
    [
        ("", "registry.example", 443, False),
        (" , ,", "registry.example", 443, False),
        ("*", "registry.example", 443, True),
        ("nothing.test, *", "10.1.2.3", 80, True),
        ("example.com", "example.com", 443, True),
        ("example.com", "EXAMPLE.com", 443, True),
        ("Example.COM", "example.com", 443, True),
        ("example.com", "hub.example.com", 443, True),
        ("example.com", "notexample.com", 443, False),
        ("example.com", "example.com.evil.test", 443, False),
        (".example.com", "hub.example.com", 443, True),
        (".example.com", "example.com", 443, False),
        ("*.example.com", "hub.example.com", 443, True),
        ("*.example.com", "example.com", 443, False),
        ("example.com:5000", "example.com", 5000, True),
        ("example.com:5000", "hub.example.com", 5000, True),
        ("example.com:5000", "example.com", 443, False),
        ("example.com:", "example.com", 443, True),
        (":5000", "example.com", 5000, False),
        (" first.test ,example.com", "example.com", 443, True),
        ("10.0.0.1", "10.0.0.1", 443, True),
        ("10.0.0.1", "10.0.0.2", 443, False),
        ("10.0.0.1:5000", "10.0.0.1", 5000, True),
        ("10.0.0.1:5000", "10.0.0.1", 443, False),
        ("10.0.0.0/8", "10.200.0.1", 443, True),
        ("10.1.2.3/8", "10.200.0.1", 443, True),
        ("10.0.0.0/8", "11.0.0.1", 443, False),
        ("10.0.0.0/8", "10.example.com", 443, False),
        ("10.0.0.0/99", "10.0.0.1", 443, False),
        ("0.0.0.1", "10.0.0.0.1", 443, False),
        ("2001:db8::1", "2001:db8::1", 443, True),
        ("2001:db8:0::1", "2001:db8::1", 443, True),
        ("[2001:db8::1]", "2001:db8::1", 443, True),
        ("[2001:db8::1]:5000", "2001:db8::1", 5000, True),
        ("[2001:db8::1]:5000", "2001:db8::1", 443, False),
        ("2001:db8::/32", "2001:db8:1::5", 443, True),
        ("10.0.0.1", "::ffff:10.0.0.1", 443, True),
        ("10.0.0.0/8", "::ffff:10.0.0.1", 443, True),
        ("bücher.example", "xn--bcher-kva.example", 443, True),
        ("xn--bcher-kva.example", "bücher.example", 443, True),
    ],
)
def test_a_list_covers_a_host(text: str, host: str, port: int, covered: bool) -> None:
    assert NoProxy.parse(text).covers(host, port) is covered
