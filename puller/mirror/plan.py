"""Plan: what a sync would do, written down to be looked at, and to be done just so.

JSON with one line for each tag. Its checksum shows where it was changed by hand: then nobody has found out what it
says, and it is refused. What is to be different is said in the configuration.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Final, Self

from puller.errors import InvalidConfig
from puller.mirror.jsonvalue import JsonValue
from puller.mirror.planitem import read_item
from puller.model.sync import Item

SCHEMA: Final = 1
MAX_BYTES: Final = 512 << 20  # some 500,000 tags
_TOP: Final = ("schema", "config", "made", "forecast", "items", "sha256")


@dataclass(frozen=True, slots=True)
class Forecast:
    """What it takes to bring what a plan brings.

    `requests`, `pulls` (those that quotas count) and `bytes` to fetch are by host, `disk` is bytes that are new by
    target. `unknown`: of so many images this is not known.
    """

    requests: Mapping[str, int] = field(default_factory=dict)
    pulls: Mapping[str, int] = field(default_factory=dict)
    bytes: Mapping[str, int] = field(default_factory=dict)
    disk: Mapping[str, int] = field(default_factory=dict)
    unknown: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """`config` is the configuration it was made of, `made` when, in seconds since the epoch."""

    config: str
    made: float
    items: tuple[Item, ...]
    forecast: Forecast = field(default_factory=Forecast)

    def encode(self) -> "bytes":
        """The document: the same plan is the same bytes."""
        head = {"schema": SCHEMA, "config": self.config, "made": self.made, "forecast": asdict(self.forecast)}
        lines = [f" {json.dumps(key)}: {_canonical(value)}" for key, value in head.items()]
        items = [_canonical(item.encode()) for item in self.items]
        listed = "[\n  " + ",\n  ".join(items) + "\n ]" if items else "[]"
        lines += [f' "items": {listed}', f' "sha256": "{_checksum(head, items)}"']
        return ("{\n" + ",\n".join(lines) + "\n}\n").encode()

    @classmethod
    def decode(cls, raw: "bytes", file: str) -> Self:
        """What `encode` made, as `file` holds it. Raises InvalidConfig with file and path to what is wrong."""
        try:
            document = JsonValue.parse(raw, file, what="plan", limit=MAX_BYTES)
        except InvalidConfig as error:
            error.hint = error.hint or "A plan is what `puller plan CONFIG -o PLAN` writes."
            raise
        top = document.any_mapping()
        if "schema" not in top or top["schema"].held is True or top["schema"].held != SCHEMA:
            raise document.wrong("no plan of this version of puller", wanted=f'"schema": {SCHEMA}')
        top = document.mapping(_TOP)
        forecast = _forecast(top["forecast"])
        items = tuple(read_item(value) for value in top["items"].items())
        head = {name: top[name].held for name in _TOP[:4]}
        listed = [_canonical(value.held) for value in top["items"].items()]
        if top["sha256"].text() != _checksum(head, listed):
            hint = "Say in the configuration what is to be different, and plan again."
            raise document.wrong("the plan was changed after it was made", hint=hint)
        return cls(top["config"].text(), top["made"].number(), items, forecast)


def _forecast(value: JsonValue) -> Forecast:
    keys = value.mapping([field.name for field in fields(Forecast)])
    unknown = keys["unknown"].count()
    counts = {name: _counts(keys[name]) for name in ("requests", "pulls", "bytes", "disk")}
    return Forecast(**counts, unknown=unknown)


def _counts(value: JsonValue) -> Mapping[str, int]:
    return {key: one.count() for key, one in value.any_mapping().items()}


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def _checksum(head: Mapping[str, Any], items: list[str]) -> str:
    hasher = hashlib.sha256(_canonical(head).encode())
    for item in items:
        hasher.update(f"\n{item}".encode())
    return hasher.hexdigest()
