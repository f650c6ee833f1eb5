"""`python -m puller` as a process of its own, as a user starts it, and an independent look at what it left behind."""

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.access import Account

ROOT = Path(__file__).resolve().parents[2]
REF_NAME = "org.opencontainers.image.ref.name"


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run ended."""

    status: int
    out: str
    errors: str


@dataclass(frozen=True, slots=True)
class Puller:
    """One store and one docker configuration; several processes may use them at once."""

    store: Path
    config: Path

    def command(self, *words: str) -> list[str]:
        """The argument vector for any verb that knows `--store`."""
        return [sys.executable, "-m", "puller", *words, "--store", str(self.store)]

    def environment(self) -> dict[str, str]:
        """This process's, without the user's own registry credentials."""
        return {**os.environ, "DOCKER_CONFIG": str(self.config)}

    def start(self, *words: str) -> "subprocess.Popen[str]":
        """Begin a run; the caller waits for it."""
        return subprocess.Popen(
            self.command(*words),
            cwd=ROOT,
            env=self.environment(),
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def run(self, *words: str) -> Ended:
        """Run to the end."""
        with self.start(*words) as process:
            out, errors = process.communicate()
        return Ended(process.returncode, out, errors)

    def pull(self, reference: str, *options: str, platform: str | None = "linux/amd64") -> dict[str, Any]:
        """Pull over plain HTTP (without `--ca`), all platforms when None; must succeed; the report."""
        ended = self.run(*self.pull_words(reference, *options, platform=platform))
        assert ended.status == 0, ended.errors
        return self.report()

    def pull_words(self, reference: str, *options: str, platform: str | None = "linux/amd64") -> list[str]:
        """The words of such a pull, for a process of its own."""
        which = ["--all-platforms"] if platform is None else ["--platform", platform]
        plain = [] if "--ca" in options else ["--plain-http", reference.partition("/")[0]]
        report = ["--report", str(self.store.with_suffix(".json"))]
        return ["pull", reference, "--quiet", *which, *plain, *report, *options]

    def report(self) -> dict[str, Any]:
        """The verification report of the last pull, of its one reference."""
        document = json.loads(self.store.with_suffix(".json").read_text())
        found: dict[str, Any] = document["pulls"][0] if "pulls" in document else document
        return found

    def log_in(self, host: str, account: Account) -> None:
        """Write docker's config.json as `docker login` does."""
        self.config.mkdir(parents=True, exist_ok=True)
        (self.config / "config.json").write_text(json.dumps({"auths": {host: {"auth": account.basic}}}))

    def names(self) -> dict[str, str]:
        """Names to root digests, read from index.json as any other tool does."""
        manifests = json.loads((self.store / "index.json").read_text())["manifests"]
        return {entry["annotations"][REF_NAME]: entry["digest"] for entry in manifests if "annotations" in entry}

    def blobs(self) -> set[str]:
        """Digests of all blobs, after hashing every one again; fails where a name and its content disagree."""
        found = set()
        for path in (self.store / "blobs" / "sha256").iterdir():
            with path.open("rb") as blob:
                assert hashlib.file_digest(blob, "sha256").hexdigest() == path.name
            found.add(f"sha256:{path.name}")
        return found
