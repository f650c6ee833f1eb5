"""What places are called before people."""

import pytest

from puller.cli.placenames import named, placename, shown


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("up.example/app:1", "up.example/app:1"),
        ("oci:/srv/a#b:1", "oci:/srv/a#b:1"),
        ("store:up.example/app:1", "store:up.example/app:1"),
        ("store:#up.example/app:1", "store:up.example/app:1"),
        ("store:#up.example:5000/app", "store:up.example:5000/app"),
        ("store:/srv/store#up.example/app:1", "up.example/app:1 in store:/srv/store"),
        ("store:/srv/a#b#up.example/app:1", "up.example/app:1 in store:/srv/a#b"),
    ],
)
def test_a_store_is_called_as_it_is_typed(text: str, told: str) -> None:
    assert placename(text) == told


def test_a_digest_stands_behind_an_at_sign() -> None:
    digest = "sha256:" + "a" * 64
    assert named("up.example/app", digest) == f"up.example/app@{digest}"
    assert shown("store:/srv#up.example/app", digest) == f"up.example/app@{digest} in store:/srv"


def test_c22_nothing_in_a_place_can_act_on_a_terminal() -> None:
    assert "\x1b" not in placename("store:/\x1b[2J#up.example/app")
    assert "\x1b" not in placename("oci:/\x1b[2J")
