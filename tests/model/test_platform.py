"""Platforms: one spelling for each, and which serves which."""

from typing import Any

import pytest
from hypothesis import given

from puller.errors import InvalidConfig, InvalidManifest
from puller.model.platform import Platform
from tests.model.strategies import platforms


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("linux/amd64", "linux/amd64"),
        ("amd64", "linux/amd64"),
        ("Linux/AMD64", "linux/amd64"),
        ("linux/x86_64", "linux/amd64"),
        ("x86-64", "linux/amd64"),
        ("linux/amd64/v1", "linux/amd64"),
        ("linux/amd64/v3", "linux/amd64/v3"),
        ("linux/i386", "linux/386"),
        ("i686", "linux/386"),
        ("aarch64", "linux/arm64"),
        ("linux/arm64/v8", "linux/arm64"),
        ("linux/arm64/8", "linux/arm64"),
        ("linux/arm64/v9", "linux/arm64/v9"),
        ("linux/arm", "linux/arm"),
        ("linux/arm/7", "linux/arm"),
        ("linux/arm/v7", "linux/arm"),
        ("linux/arm/6", "linux/arm/v6"),
        ("armhf", "linux/arm"),
        ("armel", "linux/arm/v6"),
        ("armv7l", "linux/arm"),
        ("linux/armv6l", "linux/arm/v6"),
        ("macos/arm64", "darwin/arm64"),
        ("windows/amd64", "windows/amd64"),
        ("linux/riscv64", "linux/riscv64"),
        ("linux/s390x", "linux/s390x"),
    ],
)
def test_every_platform_has_one_spelling(text: str, normal: str) -> None:
    assert str(Platform.parse(text)) == normal
    assert Platform.parse(normal) == Platform.parse(text)


@pytest.mark.parametrize(
    "text",
    ["", "/", "linux/", "/amd64", "linux//v8", "a/b/c/d", "linux/amd64\n", "linux/am d64", "linux/ä"],
)
def test_text_that_is_no_platform_is_refused(text: str) -> None:
    with pytest.raises(InvalidConfig, match="invalid platform"):
        Platform.parse(text)


def _best(there: list[str], wanted: str) -> str | None:
    ranks = {text: Platform.parse(text).serves(Platform.parse(wanted)) for text in there}
    known = {text: rank for text, rank in ranks.items() if rank is not None}
    return min(known, key=lambda text: known[text]) if known else None


ARM = ["linux/arm/v5", "linux/arm/v6", "linux/arm/v7", "linux/arm/v8"]
AMD64 = ["linux/amd64", "linux/amd64/v2", "linux/amd64/v3"]


@pytest.mark.parametrize(
    ("there", "wanted", "best"),
    [
        (ARM, "linux/arm", "linux/arm/v7"),
        (ARM, "linux/arm/v6", "linux/arm/v6"),
        (ARM, "linux/arm/v8", "linux/arm/v8"),
        (ARM[:2], "linux/arm/v7", "linux/arm/v6"),
        (ARM[:1], "linux/arm/v7", "linux/arm/v5"),
        (ARM[2:], "linux/arm/v6", None),
        (AMD64, "linux/amd64", "linux/amd64"),
        (AMD64, "linux/amd64/v2", "linux/amd64/v2"),
        (AMD64, "linux/amd64/v4", "linux/amd64/v3"),
        (AMD64[:1], "linux/amd64/v3", "linux/amd64"),
        (AMD64[1:], "linux/amd64", None),
        (["linux/arm64"], "linux/arm64/v8", "linux/arm64"),
        (["linux/arm64/v9"], "linux/arm64", None),
        (["linux/arm64"], "linux/arm", None),
        (["linux/386"], "linux/amd64", None),
        (["windows/amd64"], "linux/amd64", None),
        (["linux/arm/odd"], "linux/arm/odd", "linux/arm/odd"),
        (["linux/arm/odd"], "linux/arm", None),
        (["linux/arm"], "linux/arm/odd", None),
        (["linux/ppc64le/power8"], "linux/ppc64le/power8", "linux/ppc64le/power8"),
    ],
)
def test_c11_the_nearest_variant_that_still_runs_serves_best(there: list[str], wanted: str, best: str | None) -> None:
    assert _best(there, wanted) == best


@given(platforms)
def test_every_platform_serves_itself_exactly(platform: Platform) -> None:
    assert platform.serves(platform) == 0


@given(platforms)
def test_what_is_written_is_read_back(platform: Platform) -> None:
    assert Platform.parse(str(platform)) == platform
    assert Platform.decode(platform.encode(), what="thing") == platform


def test_the_version_of_windows_is_kept() -> None:
    document = {"os": "windows", "architecture": "amd64", "os.version": "10.0.17763.1817"}
    platform = Platform.decode(document, what="thing")
    assert platform.os_version == "10.0.17763.1817"
    assert platform.encode() == document
    assert str(platform) == "windows/amd64"


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"os": "linux"},
        {"architecture": "amd64"},
        {"os": "", "architecture": "amd64"},
        {"os": None, "architecture": "a"},
    ],
)
def test_a_platform_needs_os_and_architecture(document: dict[str, Any]) -> None:
    with pytest.raises(InvalidManifest, match="thing: a platform needs os and architecture"):
        Platform.decode(document, what="thing")


@pytest.mark.parametrize("key", ["os", "architecture", "variant", "os.version"])
def test_a_platform_is_made_of_strings(key: str) -> None:
    with pytest.raises(InvalidManifest, match=f"thing: {key} must be a string"):
        Platform.decode({"os": "linux", "architecture": "amd64", key: 8}, what="thing")


def test_an_error_does_not_repeat_the_whole_document() -> None:
    with pytest.raises(InvalidManifest) as refusal:
        Platform.decode({"os": "linux", "history": "x" * 10_000}, what="thing")
    assert len(str(refusal.value)) < 300
