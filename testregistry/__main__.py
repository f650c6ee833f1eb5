"""The registry run by hand: `python -m testregistry [--port N] [--data DIR] [--faults FILE]`.

It listens on 127.0.0.1, without authentication, with deletes on. The first line on stdout is its base URL; SIGTERM or
SIGINT end it. With `--data` its content lies in that directory and outlives it.

The faults FILE holds a JSON list. Each entry is an object: `fault` names a function of `testregistry.faults`, `digest`
is optional, every other key is an argument of that function or one of `kind`, `method`, `repository`, `path`, `ranged`,
`times` (null: always), `skip`. Arguments given by position in Python have a key here: `status` code, `redirect`
location, `wrong_range` wrong, `content_encoding` coding, `body` raw, `swap` other. Bytes are written as text.

    [{"fault": "cut", "digest": "sha256:9f1c…", "after": 4000},
     {"fault": "status", "code": 429, "headers": {"Retry-After": "2"}, "kind": "manifest", "times": 3},
     {"fault": "redirect", "location": "http://127.0.0.1:9/", "kind": "blob", "times": null}]
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from testregistry.app import serve
from testregistry.fault import Fault
from testregistry.faultfile import FaultFileInvalid, parse_faults


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until a signal comes; 2 when the command line or the fault file is wrong, 1 when the port is taken."""
    options = _parser().parse_args(arguments)
    try:
        faults = [] if options.faults is None else parse_faults(options.faults.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, FaultFileInvalid) as exc:
        sys.stderr.write(f"testregistry: {options.faults}: {exc}\n")
        return 2
    try:
        asyncio.run(_run(options.port, options.data, faults))
    except OSError as exc:
        sys.stderr.write(f"testregistry: {exc}\n")
        return 1
    return 0


async def _run(port: int, data: Path | None, faults: list[Fault]) -> None:
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    async with serve(port=port, data=data, faults=faults) as registry:
        sys.stdout.write(f"{registry.url}\n")
        sys.stdout.flush()
        await stop.wait()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m testregistry", description="A strict OCI registry for tests, on 127.0.0.1."
    )
    parser.add_argument("--port", type=int, default=0, help="port to listen on; 0, the default, takes a free one")
    parser.add_argument("--data", type=Path, metavar="DIR", help="keep content in DIR instead of in memory")
    parser.add_argument("--faults", type=Path, metavar="FILE", help="JSON list of faults to arm")
    return parser


if __name__ == "__main__":
    sys.exit(main())
