"""What the original computed, recorded: see tests/golden/README.md."""

import base64
import functools
import json
import tarfile
from pathlib import Path
from typing import Any

GOLDEN = Path(__file__).parents[1] / "golden" / "legacy.tar.xz"


@functools.cache
def golden() -> dict[str, bytes]:
    with tarfile.open(GOLDEN) as archive:
        return {info.name: file.read() for info in archive if (file := archive.extractfile(info))}


@functools.cache
def recorded(name: str) -> Any:
    return json.loads(golden()[f"{name}.json"])


def cases(name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = recorded(name)["cases"]
    return found


def named(case: dict[str, Any]) -> str:
    return str(case["name"])


def fixture(name: str) -> bytes:
    return golden()[f"fixtures/{name}"]


def from_base64(text: str | None) -> bytes:
    return base64.b64decode(text or "")
