"""Tarsum: Docker's sum of what is in a tar archive, bit for bit as moby's pkg/tarsum made it in 2015 (LEGACY.md a).

It names content weakly (THREATS D1): a fact to record and the name old manifests use, never a reason to trust bytes.
Theory of operation. Every entry is hashed on its own, chosen header fields and then the content; the sum is the hash of
those hashes, sorted. The original wrote the archive anew while it read, and where that writer failed, so do we.
"""

import hashlib
from collections.abc import Callable
from enum import Enum
from typing import Any, Final, NamedTuple, Self

from puller.errors import InputError, InvalidArchive, LimitExceeded
from puller.model.text import printable
from puller.stream.go2015 import Go2015
from puller.stream.go2015number import unix_seconds
from puller.stream.go2015sparse import panic
from puller.stream.gosort import go_sort
from puller.stream.plain import PlainEntries
from puller.stream.sink import Chunk, Pulse, unwatched
from puller.stream.tar import TarSink
from puller.stream.tarentry import Entry, TarListener
from puller.stream.tarfield import BLOCK

LABEL_HASHES: Final = ("sha256", "sha512")
MAX_ENTRIES: Final = 1 << 20  # name and digest of each stay in memory to the end: about 150 MB
MAX_NAMES: Final = 64 << 20  # bytes of all names together; one alone may have 4 MiB
_PLAIN_NAME: Final = 256  # the longest name of a header that stands alone
_MODE_LIMIT: Final = 8**8  # the writer had eight octal digits for a mode


class TarsumVersion(Enum):
    """The three versions; the value is what a sum begins with."""

    V0 = "tarsum"
    V1 = "tarsum.v1"
    DEV = "tarsum.dev"


class FileSum(NamedTuple):
    """The sum of one entry. `name` is cleaned: one leading `./` and then one trailing `/` less."""

    name: bytes
    hex: str
    position: int


def version_of(text: str) -> TarsumVersion:
    """The version that a label or a whole sum begins with. Raises InputError."""
    try:
        return TarsumVersion(text.partition("+")[0])
    except ValueError:
        raise InputError("string does not include a TarSum Version", got=printable(text, limit=80)) from None


def label_of(checksum: str) -> str:
    """What stands before the first `+`; empty where there is none."""
    label, plus, _ = checksum.partition("+")
    return label if plus else ""


class Tarsum(TarListener):
    """Hashes the entries of one archive; feed it by TarSink in the GO2015 dialect.

    Raises InvalidArchive, with the original's text in `what`, where its writer failed or crashed. `sum` may be asked
    for at any time and then covers the entries that were finished. The version `dev` differs from v1 in its name only.
    Entries and names have bounds beyond which LimitExceeded is raised. `pulse` is called while `sum` sorts, and by
    TarsumSink while holes are filled: at least once per MiB of work; what it raises ends the pass.
    """

    def __init__(
        self,
        version: TarsumVersion = TarsumVersion.V1,
        algorithm: str = "sha256",
        *,
        max_entries: int = MAX_ENTRIES,
        max_names: int = MAX_NAMES,
        pulse: Pulse = unwatched,
    ) -> None:
        self.version = version
        self.algorithm = algorithm
        self.pulse = pulse
        self._new_hash: Callable[[bytes], Any] = getattr(hashlib, algorithm)
        self._header = _HEADERS[version]
        self._max_entries = max_entries
        self._max_names = max_names
        self._names_size = 0
        self._hash: Any = None
        self._left = 0  # bytes that the writer still takes for this entry
        self._name = b""
        self._names: list[bytes] = []  # as the headers have them
        self._digests: list[bytes] = []
        self._plain = PlainEntries(
            self._names,
            self._digests,
            self._new_hash,
            mode_limit=_MODE_LIMIT,
            with_mtime=version is TarsumVersion.V0,
        )

    @classmethod
    def for_label(cls, label: str, *, pulse: Pulse = unwatched) -> Self:
        """By a label such as `tarsum.v1+sha256`. Raises InputError with the original's messages (LEGACY.md a.1)."""
        version, plus, algorithm = label.partition("+")
        if not plus:
            raise InputError("tarsum label string should be of the form: {tarsum_version}+{hash_name}")
        if version not in (known.value for known in TarsumVersion):
            raise InputError(f'unknown TarSum version name: "{version}"')
        if algorithm not in LABEL_HASHES:
            raise InputError(f'unknown TarSum hash name: "{algorithm}"')
        return cls(TarsumVersion(version), algorithm, pulse=pulse)

    @property
    def label(self) -> str:
        """Version and hash, as in `tarsum.v1+sha256`."""
        return f"{self.version.value}+{self.algorithm}"

    @property
    def count(self) -> int:
        """How many entries were finished."""
        return len(self._digests)

    @property
    def sums(self) -> tuple[FileSum, ...]:
        """The finished entries, in archive order."""
        return tuple(
            FileSum(name, digest.hex(), position)
            for position, (name, digest) in enumerate(zip(self._cleaned(), self._digests, strict=True))
        )

    def sum(self, extra: bytes = b"") -> str:
        """The whole sum, `label:hex`; `extra` is hashed before everything else."""
        total = self._new_hash(extra)
        total.update(b"".join(self._ordered()).hex().encode())
        return f"{self.label}:{total.hexdigest()}"

    def entry(self, entry: Entry, /) -> None:
        self._hash = self._new_hash(self._header(entry))
        if self._left:
            raise InvalidArchive(f"archive/tar: missed writing {self._left} bytes")
        if entry.mode >= _MODE_LIMIT:
            raise InvalidArchive("archive/tar: header field too long")
        if entry.size < 0:
            raise panic(f"runtime error: slice bounds out of range [:{entry.size}]")
        if len(self._names) >= self._max_entries:
            raise LimitExceeded("too many entries for a tarsum", wanted=f"at most {self._max_entries}")
        self._names_size += len(entry.name)
        if self._names_size > self._max_names:
            raise LimitExceeded("names too long for a tarsum", wanted=f"at most {self._max_names} bytes")
        self._left = entry.size
        self._name = entry.name

    def data(self, chunk: Chunk, /) -> None:
        self._hash.update(chunk)
        self._left -= len(chunk)
        if self._left < 0:
            raise InvalidArchive("archive/tar: write too long")

    def end(self) -> None:
        self._names.append(self._name)
        self._digests.append(self._hash.digest())

    def skim(self, chunk: Chunk, at: int, /) -> int:
        """Take plain entries out of `chunk`, past the parser (TarSink); where the first other one begins."""
        known, room = len(self._names), (len(chunk) - at) // BLOCK
        # Content that is missing is reported at the next header; and where a bound may be near, entries are counted.
        if self._left or known + room > self._max_entries or self._names_size + room * _PLAIN_NAME > self._max_names:
            return at
        at = self._plain.skim(chunk, at)
        self._names_size += sum(map(len, self._names[known:]))
        return at

    def finish(self) -> None:
        """The archive is read; raises what the original's writer would on closing."""
        if self._left:
            raise InvalidArchive(f"archive/tar: missed writing {self._left} bytes")

    def _ordered(self) -> list[bytes]:
        """The digests as the original sorted: by sum, and entries of one name by position, which is no total order."""
        names, digests = self._cleaned(), self._digests
        if len(set(names)) == len(names):
            return sorted(digests)
        order = list(range(len(names)))
        go_sort(order, lambda i, j: i < j if names[i] == names[j] else digests[i] < digests[j], pulse=self.pulse)
        return [digests[i] for i in order]

    def _cleaned(self) -> list[bytes]:
        return [name.removeprefix(b"./").removesuffix(b"/") for name in self._names]


class TarsumSink:
    """The Sink over an uncompressed archive that feeds a Tarsum; raises what the original's reader and writer would."""

    def __init__(self, tarsum: Tarsum) -> None:
        self._tarsum = tarsum
        self._sink = TarSink(tarsum, dialect=Go2015(tarsum.pulse), skim=tarsum.skim)

    def write(self, chunk: Chunk, /) -> None:
        self._sink.write(chunk)

    def finish(self) -> None:
        self._sink.finish()
        self._tarsum.finish()


def _header_v0(entry: Entry) -> bytes:
    return b"name%bmode%duid%dgid%dsize%dmtime%dtypeflag%blinkname%buname%bgname%bdevmajor%ddevminor%d" % (
        entry.name, entry.mode, entry.uid, entry.gid, entry.size, unix_seconds(entry.mtime), entry.type,
        entry.linkname, entry.uname, entry.gname, entry.devmajor, entry.devminor,
    )  # fmt: skip


def _header_v1(entry: Entry) -> bytes:
    name, linkname, kind, mode, uid, gid, size, _, uname, gname, devmajor, devminor, xattrs, *_ = entry
    fields = b"name%bmode%duid%dgid%dsize%dtypeflag%blinkname%buname%bgname%bdevmajor%ddevminor%d" % (
        name, mode, uid, gid, size, kind, linkname, uname, gname, devmajor, devminor,
    )  # fmt: skip
    if not xattrs:
        return fields
    # The original made its list of keys as long as the map and then appended the keys behind that many empty ones,
    # so a value under the empty key is hashed once more for each xattr.
    keys = [b""] * len(xattrs) + sorted(xattrs)
    return fields + b"".join(key + xattrs.get(key, b"") for key in keys)


_HEADERS: Final[dict[TarsumVersion, Callable[[Entry], bytes]]] = {
    TarsumVersion.V0: _header_v0,
    TarsumVersion.V1: _header_v1,
    TarsumVersion.DEV: _header_v1,
}
