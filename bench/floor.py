"""The least that a full pass could cost, from programs in C that each do one part of it."""

from collections.abc import Mapping
from pathlib import Path

from bench.cache import remove
from bench.contestant import Task, blob_urls
from bench.measure import Usage, measured
from bench.tool import require, run

CORES = 2


def full_pass_parts(task: Task, scratch: Path, env: Mapping[str, str]) -> dict[str, Usage]:
    """Processor time of each part: fetch, hash the blobs, inflate, hash the tars (for the diff ID, for the tarsum).

    The tars are made beforehand, unmeasured, so that hashing them is timed apart from inflating.
    """
    require("curl", "openssl", "igzip")
    blobs, tars = scratch / "blobs", scratch / "tars"
    for folder in (blobs, tars):
        remove(folder)
        folder.mkdir(parents=True)
    try:
        fetched = measured(["curl", "--silent", "--fail", *blob_urls(task, blobs)], env=env)
        files = sorted(str(path) for path in blobs.iterdir())
        for file in files:
            run(["sh", "-c", 'igzip -dc "$0" > "$1"', file, str(tars / Path(file).name)])
        hashed = measured(["openssl", "dgst", "-sha256", *files], env=env)
        inflated = measured(["sh", "-c", 'for f; do igzip -dc "$f" > /dev/null || exit 1; done', "sh", *files], env=env)
        tarred = measured(["openssl", "dgst", "-sha256", *sorted(str(path) for path in tars.iterdir())], env=env)
    finally:
        remove(blobs)
        remove(tars)
    return {
        "curl to files": fetched,
        "openssl sha256 of the blobs": hashed,
        "igzip -dc": inflated,
        "openssl sha256 of the tars (diff ID)": tarred,
        "openssl sha256 of the tars (tarsum)": tarred,
    }


def full_pass_seconds(parts: Mapping[str, Usage]) -> float:
    """All parts spread without loss over two cores."""
    return sum(usage.cpu for usage in parts.values()) / CORES
