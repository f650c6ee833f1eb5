"""Layout: which path of a store holds what.

The outside is an OCI image layout (image-layout.md), so other tools read it; what only this program needs lies beside
it. Paths are made from checked values alone (Digest), never from text of a registry (THREATS A3, A5).
"""

import re
from dataclasses import dataclass
from pathlib import Path

from puller.errors import PullerError
from puller.model.digest import HEX_LENGTH, Digest

# image-spec descriptor.md, "Digests", narrowed to what cannot climb a path.
_FOREIGN = re.compile(r"([a-z0-9]+):([0-9a-f]{32,256})", re.ASCII)

OWN = ".puller"  # below a directory of images, what other tools need not see

_LOCK_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)+", re.ASCII)

# Founding writes an index.json of its own under another lock, and only while nobody can have opened the store.
_SCRATCH_LOCKS = {"facts.new": "facts", "index.json.new": "index", "kept.new": "kept"}


@dataclass(frozen=True, slots=True)
class Layout:
    """The paths of a store under `root`.

    `own`: the folder below it of what only this program needs; empty: beside the rest. `mode`: the rights of the
    directories that other tools look into, where they are made.
    """

    root: Path
    own: str = ""
    mode: int = 0o700

    @property
    def _inner(self) -> Path:
        return self.root / self.own

    @property
    def index(self) -> Path:
        return self.root / "index.json"

    @property
    def mark(self) -> Path:
        """The file that says "an OCI image layout"."""
        return self.root / "oci-layout"

    @property
    def ingests(self) -> Path:
        return self._inner / "ingest"

    @property
    def locks(self) -> Path:
        return self._inner / "locks"

    @property
    def probe(self) -> Path:
        """A lock that protects nothing: on it every opener tries whether locks work. Never removed."""
        return self.locks / "probe"

    @property
    def leases(self) -> Path:
        return self._inner / "leases"

    @property
    def spare(self) -> Path:
        """A file without meaning that makes room when the disk is full."""
        return self._inner / "spare"

    @property
    def quarantine(self) -> Path:
        return self._inner / "quarantine"

    @property
    def kept(self) -> Path:
        """What stays until a date: see `kept.py`."""
        return self._inner / "kept"

    @property
    def layers(self) -> Path:
        """Unpacked layers; the room `rootfs` keeps house there."""
        return self._inner / "layers"

    @property
    def directories(self) -> tuple[Path, ...]:
        """Every directory a store has, outer ones first."""
        own = (self.ingests, self.locks, self.leases, self._inner / "facts", self.quarantine, self.kept)
        outer = (self.root / "blobs", self._inner) if self.own else (self.root / "blobs",)
        return (*outer, *own, *map(self.blobs, HEX_LENGTH), *map(self.facts, HEX_LENGTH))

    def mode_of(self, directory: Path) -> int:
        """The rights of one of them, or of the root, when it is made."""
        return self.mode if directory == self.root or directory.is_relative_to(self.root / "blobs") else 0o700

    def blobs(self, algorithm: str) -> Path:
        return self.root / "blobs" / algorithm

    def blob(self, digest: Digest) -> Path:
        return self.blobs(digest.algorithm) / digest.hex

    def foreign(self, digest: object) -> Path | None:
        """Where another tool keeps a blob of an algorithm that is not ours; None for what is no digest at all."""
        match = _FOREIGN.fullmatch(digest) if isinstance(digest, str) else None
        return None if match is None else self.blobs(match[1]) / match[2]

    def ingest(self, digest: Digest) -> Path:
        """The directory of the unfinished blob."""
        return self.ingests / f"{digest.algorithm}-{digest.hex}"

    def scratch(self, name: str) -> Path:
        """Where a small file is written before it replaces another; `name` is one the caller has the lock of."""
        return self.ingests / f"{name}.new"

    def scratch_lock(self, name: str) -> Path | None:
        """The lock of a file in `ingest/` that is a `scratch` of ours; None for any other."""
        return self.locks / lock if (lock := _SCRATCH_LOCKS.get(name)) is not None else None

    def lock(self, of: Digest | str) -> Path:
        """Of a blob, or of something else by a name of lower-case words and hyphens."""
        if isinstance(of, Digest):
            return self.locks / f"{of.algorithm}-{of.hex}"
        if not _LOCK_NAME.fullmatch(of):
            raise ValueError(f"no name for a lock: {of!r}")
        return self.locks / of

    def facts(self, algorithm: str) -> Path:
        return self._inner / "facts" / algorithm

    def fact(self, digest: Digest) -> Path:
        return self.facts(digest.algorithm) / f"{digest.hex}.json"

    def keep(self, digest: Digest) -> Path:
        """The file that says how long a blob stays, with all that it needs."""
        return self.kept / f"{digest.algorithm}-{digest.hex}"

    def quarantined(self, digest: Digest) -> Path:
        return self.quarantine / f"{digest.algorithm}-{digest.hex}"


def digest_named(name: str) -> Digest | None:
    """The digest in a name like `sha256-<hex>`; None for a name of another kind."""
    algorithm, _, hexadecimal = name.partition("-")
    try:
        return Digest(algorithm, hexadecimal)
    except PullerError:
        return None
