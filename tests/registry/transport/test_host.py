"""What a host name stands for: addresses in every spelling, this machine, and plain names."""

import pytest

from puller.registry.transport.host import address_of, is_local, is_loopback, is_plain_host

SPELLINGS = {
    "127.0.0.1": "127.0.0.1",
    "127.1": "127.0.0.1",
    "127.0.1": "127.0.0.1",
    "2130706433": "127.0.0.1",
    "0x7f.1": "127.0.0.1",
    "0X7F000001": "127.0.0.1",
    "0177.0.0.1": "127.0.0.1",
    "127.0.0.1.": "127.0.0.1",
    "0": "0.0.0.0",
    "0x": "0.0.0.0",
    "0.0.0.0": "0.0.0.0",
    "0xa9.0xfe.0xa9.0xfe": "169.254.169.254",
    "2852039166": "169.254.169.254",
    "::1": "::1",
    "::ffff:169.254.169.254": "::ffff:169.254.169.254",
    "fe80::1%eth0": "fe80::1",
    "0:0:0:0:0:0:0:1": "::1",
}


@pytest.mark.parametrize(("host", "address"), SPELLINGS.items())
def test_b3_an_address_is_seen_in_any_spelling(host: str, address: str) -> None:
    found = address_of(host)
    assert found is not None
    assert found == address_of(address)
    assert is_local(host)


@pytest.mark.parametrize(
    "host", ["localhost", "", "a.1", "1.2.3.4.5", "256.1.1.1.1", "4294967296", "256.0.0.1", "1.2.65536", "x1", "0x7g"]
)
def test_a_name_or_an_overflow_is_no_address(host: str) -> None:
    assert address_of(host) is None


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST", "localhost.", "x.localhost", "127.9.9.9", "127.1", "::1", "::ffff:127.0.0.1"]
)
def test_b3_this_machine_is_known_by_all_its_names(host: str) -> None:
    assert is_loopback(host)
    assert is_local(host)


@pytest.mark.parametrize("host", ["notlocalhost", "localhost.example.com", "8.8.8.8", "10.0.0.1", "2606:4700::1111"])
def test_other_names_are_not_this_machine(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize(
    "host",
    ["10.0.0.1", "192.168.1.1", "172.16.0.1", "169.254.169.254", "100.64.0.1", "224.0.0.1", "fd00::1", "fe80::1"],
)
def test_b3_addresses_outside_the_open_internet_are_local(host: str) -> None:
    assert is_local(host)


@pytest.mark.parametrize("host", ["8.8.8.8", "2606:4700::1111", "example.com", "registry.internal"])
def test_public_addresses_and_plain_names_are_not_local(host: str) -> None:
    assert not is_local(host)


@pytest.mark.parametrize(
    "host", ["a", "auth.docker.io", "my_host.corp", "1a.b", "8.8.8.8", "::1", "xn--bcher-kva.example"]
)
def test_names_and_normal_addresses_are_plain(host: str) -> None:
    assert is_plain_host(host)


@pytest.mark.parametrize(
    "host",
    [
        *["", "a.", ".a", "a..b", "-a", "a-", "a b", "bücher.example", "a%2eb", "a" * 64, "a." * 130 + "a"],
        *["127.1", "0x7f.1", "2130706433", "127.0.0.1.", "256.1.1.1", "a.1", "fe80::1%eth0"],
    ],
)
def test_b3_what_resolvers_could_read_in_two_ways_is_not_plain(host: str) -> None:
    assert not is_plain_host(host)
