import socket

import pytest

from puller.registry.transport.reach import AddressInfo, Boundary, BoundedResolver, Reach, RefusedAddress, reach_of
from tests.registry.scene import Names

PUBLIC = ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
PRIVATE = [
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "fd00::1",
    "fec0::1",
    "::ffff:10.0.0.1",
    "64:ff9b::a00:1",
]
LOOPBACK = ["127.0.0.1", "127.255.0.3", "::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::"]
NOWHERE = [
    "169.254.169.254", "0.0.0.0", "0.1.2.3", "::", "fe80::1", "fe80::1%eth0", "224.0.0.1", "255.255.255.255",
    "240.0.0.1", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::", "ff02::1",
]  # fmt: skip


@pytest.mark.parametrize(
    ("address", "reach"),
    [(a, Reach.PUBLIC) for a in PUBLIC]
    + [(a, Reach.PRIVATE) for a in PRIVATE]
    + [(a, Reach.LOOPBACK) for a in LOOPBACK]
    + [(a, Reach.NOWHERE) for a in NOWHERE],
)
def test_b8_every_address_has_its_reach_in_any_spelling(address: str, reach: Reach) -> None:
    assert reach_of(address) is reach


@pytest.mark.parametrize(
    ("limit", "admitted"),
    [
        (Reach.PUBLIC, PUBLIC),
        (Reach.PRIVATE, PUBLIC + PRIVATE),
        (Reach.LOOPBACK, PUBLIC + PRIVATE + LOOPBACK),
        (Reach.NOWHERE, PUBLIC + PRIVATE + LOOPBACK),
        (None, PUBLIC + PRIVATE + LOOPBACK + NOWHERE),
    ],
)
def test_b8_a_boundary_admits_what_is_as_far_out_as_its_registry(limit: Reach | None, admitted: list[str]) -> None:
    boundary = Boundary(limit=limit)
    assert [a for a in PUBLIC + PRIVATE + LOOPBACK + NOWHERE if boundary.admits(a)] == admitted


def test_b1_plain_http_unasked_for_reaches_loopback_only() -> None:
    boundary = Boundary(only=Reach.LOOPBACK)
    assert [a for a in PUBLIC + PRIVATE + LOOPBACK + NOWHERE if boundary.admits(a)] == LOOPBACK


def info(address: str) -> AddressInfo:
    return (socket.AF_INET, socket.SOCK_STREAM, 0, "", (address, 80))


def test_b8_no_socket_is_made_for_an_address_out_of_bounds() -> None:
    boundary = Boundary(limit=Reach.PUBLIC)
    with pytest.raises(RefusedAddress, match=r"127\.0\.0\.1"):
        boundary.open_socket(info("127.0.0.1"))
    assert boundary.seen is None


def test_a_boundary_remembers_the_most_public_address_it_met() -> None:
    boundary = Boundary()
    for address in ("127.0.0.1", "8.8.8.8", "10.0.0.1"):
        boundary.open_socket(info(address)).close()
    assert boundary.seen is Reach.PUBLIC


async def test_b8_names_that_lead_out_of_bounds_resolve_to_nothing() -> None:
    resolver = BoundedResolver(
        Names({"inside.test": "169.254.169.254", "cdn.test": "8.8.8.8"}), Boundary(limit=Reach.PUBLIC)
    )
    assert [answer["host"] for answer in await resolver.resolve("cdn.test")] == ["8.8.8.8"]
    with pytest.raises(RefusedAddress, match=r"inside\.test"):
        await resolver.resolve("inside.test")
