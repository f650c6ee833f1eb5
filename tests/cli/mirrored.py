"""Two registries and a file that says what of one is kept in step where."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from testregistry import TestRegistry, images
from testregistry.target import Kind
from tests.cli.conftest import Form, Puller
from tests.cli.picture import PLATFORM
from tests.cli.program import Ended
from tests.cli.serving import serving

SHARED = images.layer({"etc/base": b"base\n" * 2000})


def image(seed: str) -> images.Image:
    """An image of a layer that all have, and one of its own."""
    return images.image(SHARED, images.layer({"srv/own": seed.encode() * 500}), platform=PLATFORM)


def index(seed: str) -> images.Index:
    """An index of two such images."""
    other = images.image(SHARED, images.layer({"srv/other": seed.encode() * 400}), platform=("linux", "s390x"))
    return images.index(image(seed), other)


@dataclass
class Mirrored:
    """`up` is kept in step by `puller sync`, in another registry or in a directory."""

    puller: Puller
    up: TestRegistry
    down: TestRegistry
    folder: Path
    form: Form

    @property
    def file(self) -> Path:
        return self.folder / "mirrors.yml"

    def target(self, repository: str) -> str:
        """What a configuration calls the place of a repository."""
        return f"oci:{self.folder}/{repository}" if self.form == "oci" else f"{self.down.host}/copy/{repository}"

    def write(self, *repositories: str, jobs: int = 3, renamed: str | None = None, **more: Any) -> None:
        """A configuration that mirrors some repositories, all in one way; `renamed` is its `as`."""
        more |= {} if renamed is None else {"as": renamed}
        mirrors = [{"from": f"{self.up.host}/{name}", "to": self.target(name), **more} for name in repositories]
        self.file.write_text(json.dumps({"puller": 1, "jobs": jobs, "mirrors": mirrors}), "utf-8")  # which is YAML

    def sync(self, *words: str) -> Ended:
        """One run; both journals begin with it."""
        self.up.journal.clear()
        self.down.journal.clear()
        return self.puller("sync", str(self.file), "--report", str(self.folder / "report.json"), *words)

    def report(self) -> dict[str, Any]:
        """That of the last run."""
        document: dict[str, Any] = json.loads((self.folder / "report.json").read_text())
        return document

    def actions(self, repository: str | None = None) -> dict[str, str]:
        """What the last run did with each tag."""
        return {
            item["tag"]: "failed" if item["error"] else item["action"]
            for item in self.report()["items"]
            if repository is None or item["source"].endswith(f"/{repository}")
        }

    def there(self, repository: str) -> dict[str, str]:
        """Every tag at the target, and the digest it names."""
        if self.form == "registry":
            found = self.down.storage.find(f"copy/{repository}")
            return {} if found is None else dict(found.tags)
        path = self.folder / repository / "index.json"
        entries = json.loads(path.read_text())["manifests"] if path.exists() else []
        names = {entry["annotations"]["org.opencontainers.image.ref.name"]: entry["digest"] for entry in entries}
        return {name: digest for name, digest in names.items() if not name.startswith("sha256-")}

    def asked(self, method: str, kind: Kind) -> int:
        """How often the source was asked so."""
        return self.up.journal.count(method, kind=kind)


def stock(registry: TestRegistry, *repositories: str) -> None:
    """Three tags of two digests in each repository."""
    for repository in repositories:
        registry.add(f"{repository}:1.0", image(f"{repository} 1"))
        registry.add(f"{repository}:2.0", index(f"{repository} 2"))
        registry.tag(f"{repository}:latest", index(f"{repository} 2").digest)


@contextmanager
def mirrored(puller: Puller, folder: Path, form: Form) -> Iterator[Mirrored]:
    with serving() as up, serving() as down:
        yield Mirrored(puller, up, down, folder, form)
