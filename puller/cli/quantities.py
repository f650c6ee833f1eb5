"""Quantities: amounts of bytes and of time as people write them."""

import re

import click

_BYTES = re.compile(r"([0-9]{1,12})([kKmMgG]?)(?:i?B)?", re.ASCII)
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3}
_TIME = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)(ms|s|m|h|d)?", re.ASCII)
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


class Bytes(click.ParamType[int]):
    """`500k`, `10M`, `1GB`: bytes, by powers of 1000; with `i`, as in `10MiB`, of 1024."""

    name = "bytes"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        match = _BYTES.fullmatch(str(value))
        amount = 0 if match is None else int(match[1])
        if match is None or amount == 0:
            self.fail(f"{value!r} is no amount of bytes, as in 500k or 10M", param, ctx)
        unit: int = (1024 if "i" in str(value) else 1000) ** _POWERS[match[2].lower()]
        return amount * unit


class Seconds(click.ParamType[float]):
    """`90s`, `15m`, `6h`: seconds; of a bare number, too."""

    name = "time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, int | float):
            return float(value)
        match = _TIME.fullmatch(str(value))
        if match is None:
            self.fail(f"{value!r} is no length of time, as in 90s, 15m or 6h", param, ctx)
        return float(match[1]) * _UNITS[match[2] or "s"]
