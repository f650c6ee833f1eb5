"""Copies in stories: one image in places of every kind, put there by skopeo, and what skopeo finds in other ones."""

import hashlib
import json
import shutil
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

from bench.layout import Image
from bench.registry import Registry
from tests.interop.puller import REF_NAME, Ended, Puller
from tests.tools import skopeo

Kind: TypeAlias = Literal["registry", "oci", "oci-archive", "docker-archive", "store"]
KINDS: tuple[Kind, ...] = get_args(Kind)
ANYBODY = ("--insecure-policy", "--src-tls-verify=false")


def digest_of(raw: bytes) -> str:
    """Its sha256."""
    return f"sha256:{hashlib.sha256(raw).hexdigest()}"


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a built image without any of the programs: manifest and config, as they lie in its layout."""

    image: Image

    @property
    def manifest(self) -> dict[str, Any]:
        """That of the one platform."""
        found: dict[str, Any] = json.loads(self.image.blob(self.image.digest).read_bytes())
        return found

    @property
    def config(self) -> str:
        """The digest of its config, which is the ID of the image."""
        return str(self.manifest["config"]["digest"])

    @property
    def diff_ids(self) -> list[str]:
        """What its layers unpack to."""
        return [layer.diff_id for layer in self.image.layers]

    @property
    def word(self) -> str:
        """Where it lies, for skopeo and for puller."""
        return f"oci:{self.image.layout}:1"


@dataclass(frozen=True, slots=True)
class Stand:
    """Where copies are made: a registry, a folder and a store, all empty at first."""

    registry: Registry
    folder: Path
    puller: Puller

    def ours(self, kind: Kind, name: str) -> str:
        """What puller calls the image `name` in a place of this kind."""
        return {
            "registry": f"docker://{self.registry.name(name)}",
            "oci": f"oci:{self.folder / name}.oci:1",
            "oci-archive": f"oci-archive:{self.folder / name}.tar:1",
            "docker-archive": f"docker-archive:{self.folder / name}-docker.tar:localhost/{name}:1",
            "store": f"store:localhost/{name}:1",
        }[kind]

    def theirs(self, kind: Kind, name: str) -> str:
        """What skopeo calls it."""
        return self._in_store(name) if kind == "store" else self.ours(kind, name)

    def _in_store(self, name: str) -> str:
        """An image of Docker's types it finds in a layout only where that is the only one (containers/image,
        oci/layout/oci_transport.go), so such a one gets a view of its own.
        """
        full, store = f"localhost/{name}:1", self.puller.store
        entries = json.loads((store / "index.json").read_text())["manifests"]
        for entry in entries:
            if entry.get("annotations", {}).get(REF_NAME) == full and "docker" in entry["mediaType"]:
                view = self.folder / f"{name}.view"
                view.mkdir(exist_ok=True)
                if not (view / "blobs").exists():
                    (view / "blobs").symlink_to(store / "blobs")
                (view / "oci-layout").write_bytes((store / "oci-layout").read_bytes())
                (view / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
                return f"oci:{view}"
        return f"oci:{store}:{full}"

    def fill(self, kind: Kind, name: str, known: Known, *words: str) -> None:
        """Have an image in a place of this kind that skopeo has put there."""
        if kind == "store":  # only its owner writes there
            self.copy(known.word, self.ours("store", name))
            return
        here = (*ANYBODY, "--dest-tls-verify=false", "-q", *words)
        skopeo("copy", *here, known.word, self.theirs(kind, name))

    def copy(self, source: str, target: str, *options: str) -> str:
        """Copy; the digest that it has come to."""
        ended = self.run(source, target, "-q", *options)
        assert ended.status == 0, ended.errors
        return next(word for word in ended.out.split() if word.startswith("sha256:"))

    def run(self, source: str, target: str, *options: str, host: str = "") -> Ended:
        """The same, however it ends. `host`: another one that is the registry, too."""
        return self.puller.run(*self.words(source, target, *options, host=host))

    def words(self, source: str, target: str, *options: str, host: str = "") -> list[str]:
        """The words of a copy."""
        plain = [word for name in filter(None, (self.registry.host, host)) for word in ("--plain-http", name)]
        return ["copy", source, target, *plain, *options]

    def raw(self, kind: Kind, name: str) -> bytes:
        """The manifest or index that a name has there."""
        found = skopeo("inspect", "--raw", "--tls-verify=false", self.theirs(kind, name))
        return found.encode()

    def taken(self, kind: Kind, name: str, *words: str) -> dict[str, str]:
        """All that skopeo copies from there, which checks digests itself: by name, what each file hashes to."""
        out = self.folder / f"{name}-{kind}.taken"
        shutil.rmtree(out, ignore_errors=True)
        skopeo("copy", "-q", *ANYBODY, *words, self.theirs(kind, name), f"dir:{out}")
        return {path.name: digest_of(path.read_bytes()) for path in out.iterdir() if path.name != "version"}

    def check(self, kind: Kind, name: str, known: Known, *, plain: bool) -> None:
        """Have skopeo find the image whole: byte for byte, or with the layers that it unpacks to and the same ID."""
        taken = self.taken(kind, name)
        manifest = json.loads((self.folder / f"{name}-{kind}.taken" / "manifest.json").read_bytes())
        assert manifest["config"]["digest"] == known.config
        layers = [layer["digest"] for layer in manifest["layers"]]
        assert layers == (known.diff_ids if plain else [layer.digest for layer in known.image.layers])
        for digest in (known.config, *layers):
            assert taken[digest.removeprefix("sha256:")] == digest
        if not plain:
            assert digest_of(self.raw(kind, name)) == known.image.digest
            assert taken["manifest.json"] == known.image.digest

    def listed(self, name: str) -> dict[str, Any]:
        """The one entry of manifest.json of an archive of Docker's."""
        with tarfile.open(self.folder / f"{name}-docker.tar") as archive:
            file = archive.extractfile("manifest.json")
            assert file is not None
            (entry,) = json.loads(file.read())
        found: dict[str, Any] = entry
        return found
