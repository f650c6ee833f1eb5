"""Powers by capability bits, and not by uid."""

from pathlib import Path

import pytest

from puller.rootfs.powers import Powers

ALL = Powers(owners=True, devices=True, file_capabilities=True, trusted=True)
STATUS = "Name:\tpython3\nUid:\t0\t0\t0\t0\nCapPrm:\t000001ffffffffff\nCapEff:\t{}\nCapBnd:\t000001ffffffffff\n"


@pytest.mark.parametrize(
    ("mask", "powers"),
    [
        ("000001ffffffffff", ALL),
        ("0000000000000000", Powers()),
        ("000000000000001b", Powers(owners=True)),
        ("000000000000001a", Powers()),
        ("0000000000000013", Powers()),
        ("000000000800001b", Powers(owners=True, devices=True)),
        ("000000008000001b", Powers(owners=True, file_capabilities=True)),
        ("0000000088000000", Powers()),
        ("0000000000200000", Powers(trusted=True)),
    ],
)
def test_powers_are_what_the_effective_set_says(mask: str, powers: Powers) -> None:
    assert Powers.of_status(STATUS.format(mask)) == powers


def test_a_status_that_does_not_tell_gives_none() -> None:
    assert Powers.of_status("Name:\tpython3\n") == Powers()


def test_this_process_has_those_of_its_own_status() -> None:
    assert Powers.of_this_process() == Powers.of_status(Path("/proc/self/status").read_text())
