"""What the original computed, recorded: see tests/golden/README.md."""

import base64
import functools
import json
from typing import Any

from tests.recorded import contents


def golden() -> dict[str, bytes]:
    return contents("legacy.tar.xz")


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
