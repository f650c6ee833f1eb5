"""What the IDs of a schema 1 manifest cost: parsed, its signature verified, folded, chained. Also a script.

As a script it is the process that is measured, and nothing of this project is imported before the clock runs but what
makes the manifest.
"""

import datetime
import hashlib
import json
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from statistics import median

from bench.contest import ROOT
from bench.tool import run

LAYERS = 127  # as many as aufs could stack
RUNS = 50


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds: of the first time in a process, the median and the shortest; and how large the manifest is, in bytes."""

    first: float
    median: float
    best: float
    size: int


def timed(docker_version: str, env: Mapping[str, str]) -> Times:
    """The times of a manifest whose images that Docker made, in a process of its own."""
    answer = run([sys.executable, "-m", "bench.idchain", docker_version], cwd=ROOT, env=env)
    return Times(**json.loads(answer))


def manifest(docker_version: str, layers: int = LAYERS) -> bytes:
    """A signed manifest as `docker push` made it: every field of the struct, commands as real ones are."""
    from cryptography.hazmat.primitives.asymmetric import ec

    from puller.legacy.schema1 import encode_manifest
    from puller.legacy.signing import Signer, SigningKey, sign

    places = range(layers - 1, -1, -1)  # top first
    blobs = [f"sha256:{_hash('layer', place)}" for place in places]
    history = [_history(place, docker_version) for place in places]
    content = encode_manifest("library/app", "latest", "amd64", blobs, history)
    key = SigningKey.of(ec.derive_private_key(12345, ec.SECP256R1()))
    return sign(content, [Signer(key)], at=datetime.datetime(2015, 10, 12, tzinfo=datetime.UTC))


def _hash(kind: str, place: int) -> str:
    return hashlib.sha256(f"{kind} {place}".encode()).hexdigest()


def _history(place: int, docker_version: str) -> bytes:
    step = f"#(nop) ENV STEP={place}"
    if place % 2:
        step = f'apt-get update && apt-get install -y "package{place}" && rm -rf /var/lib/apt/lists/*'
    config = {
        "Hostname": _hash("host", 0)[:12], "Domainname": "", "User": "", "AttachStdin": False, "AttachStdout": False,
        "AttachStderr": False, "Tty": False, "OpenStdin": False, "StdinOnce": False,
        "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8"],
        "Cmd": ["/bin/sh", "-c", '#(nop) CMD ["python3"]'], "Image": _hash("image", place - 1), "Volumes": None,
        "WorkingDir": "", "Entrypoint": None, "OnBuild": [], "Labels": {},
    }  # fmt: skip
    image = {
        "id": _hash("image", place),
        **({"parent": _hash("image", place - 1)} if place else {}),
        "created": f"2015-10-12T01:{place % 60:02d}:03.{place:09d}Z",
        "container": _hash("container", place),
        "container_config": {**config, "Cmd": ["/bin/sh", "-c", step]},
        "docker_version": docker_version,
        "config": config,
        "architecture": "amd64",
        "os": "linux",
        "Size": 1000 * place,
    }
    return json.dumps(image, separators=(",", ":")).encode()


def measure(work: Callable[[], object], size: int, runs: int = RUNS) -> Times:
    """Do it again and again."""
    times = []
    for _ in range(runs + 1):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    first, *later = times
    return Times(first, median(later), min(later), size)


def _main(docker_version: str) -> Times:
    from puller.legacy.idchain import id_chain
    from puller.legacy.schema1 import parse_signed_manifest

    raw = manifest(docker_version)

    def work() -> None:
        chain = id_chain(parse_signed_manifest(raw, require_signature=True).layers())
        assert len(chain) == LAYERS

    return measure(work, len(raw))


if __name__ == "__main__":
    print(json.dumps(asdict(_main(*sys.argv[1:]))))
