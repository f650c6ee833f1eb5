"""Layers made from a dict of files: deterministic tars, compressed or not. The images around them are in `images`."""

from __future__ import annotations

import gzip
import io
import random
import sys
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from testregistry.body import Body, BytesBody, JoinedBody, PatternBody, length, read
from testregistry.grammar import digest_of, digest_of_chunks

Compression = Literal["gzip", "zstd", "none"]
Format = Literal["oci", "docker"]

_OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
_DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar"
_MEDIA_TYPES: dict[tuple[Format, Compression], str] = {
    ("oci", "gzip"): f"{_OCI_LAYER}+gzip",
    ("oci", "zstd"): f"{_OCI_LAYER}+zstd",
    ("oci", "none"): _OCI_LAYER,
    ("docker", "gzip"): f"{_DOCKER_LAYER}.gzip",
    ("docker", "zstd"): f"{_DOCKER_LAYER}.zstd",
    ("docker", "none"): _DOCKER_LAYER,
}
_BLOCK = 1024 * 1024


@dataclass(frozen=True, slots=True)
class File:
    """A regular file with more to say than its bytes."""

    data: bytes = b""
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    mtime: int = 0
    xattrs: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Directory:
    """A directory."""

    mode: int = 0o755
    uid: int = 0
    gid: int = 0
    mtime: int = 0


@dataclass(frozen=True, slots=True)
class Symlink:
    """A symbolic link to any text."""

    target: str


@dataclass(frozen=True, slots=True)
class Hardlink:
    """A second name of an entry of the same tar."""

    target: str


@dataclass(frozen=True, slots=True)
class Device:
    """A character (`c`) or block (`b`) device, or a FIFO (`p`)."""

    kind: Literal["c", "b", "p"]
    major: int = 0
    minor: int = 0


Entry: TypeAlias = bytes | File | Directory | Symlink | Hardlink | Device


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer as stored, and the digest of its tar. The media type is OCI's; `media_type_in` tells Docker's."""

    digest: str
    diff_id: str
    size: int
    compression: Compression
    body: Body

    @property
    def raw(self) -> bytes:
        """All its bytes; do not ask this of a generated layer of gigabytes."""
        return read(self.body)

    @property
    def media_type(self) -> str:
        return self.media_type_in("oci")

    def media_type_in(self, format: Format) -> str:  # noqa: A002 - the word of the public calls
        return _MEDIA_TYPES[format, self.compression]


def layer(files: Mapping[str, Entry], compression: Compression = "gzip", *, algorithm: str = "sha256") -> Layer:
    """Make a layer of these files, in this order, with modification time 0 unless a File says otherwise."""
    return raw_layer(tar(files), compression, algorithm=algorithm)


def raw_layer(
    tar_bytes: bytes, compression: Compression = "gzip", *, level: int = 6, algorithm: str = "sha256"
) -> Layer:
    """Make a layer of any bytes, a tar or not."""
    raw = compress(tar_bytes, compression, level=level)
    diff_id = digest_of(tar_bytes, algorithm)
    return Layer(digest_of(raw, algorithm), diff_id, len(raw), compression, BytesBody(raw))


def blob_layer(raw: bytes, diff_id: str, compression: Compression = "gzip") -> Layer:
    """Make a layer of bytes that are compressed already (or pretend to be), with any diff ID claimed for them."""
    return Layer(digest_of(raw), diff_id, len(raw), compression, BytesBody(raw))


def generated_layer(size: int, seed: int = 0) -> Layer:
    """Make an uncompressed layer with one file of `size` random-looking bytes, served without being stored."""
    info = tarfile.TarInfo("generated.bin")
    info.size = size
    head = info.tobuf(tarfile.GNU_FORMAT)
    padding = bytes(-size % tarfile.BLOCKSIZE + 2 * tarfile.BLOCKSIZE)
    body = JoinedBody((BytesBody(head), generated_body(size, seed), BytesBody(padding)))
    digest = digest_of_chunks(body.chunks())
    return Layer(digest, digest, length(body), "none", body)


def generated_body(size: int, seed: int = 0) -> PatternBody:
    """Return a body of this size: one random block of 1 MiB, repeated."""
    return PatternBody(random.Random(seed).randbytes(min(size, _BLOCK) or 1), size)


def tar(files: Mapping[str, Entry]) -> bytes:
    """Return a PAX tar of these files in the order given."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, entry in files.items():
            info, data = _member(name, entry)
            archive.addfile(info, io.BytesIO(data))
    return target.getvalue()


def compress(raw: bytes, compression: Compression, *, level: int = 6) -> bytes:
    """Compress bytes the same way every time."""
    match compression:
        case "none":
            return raw
        case "gzip":
            return gzip.compress(raw, level, mtime=0)
        case "zstd":
            return _zstd(raw)


def _zstd(raw: bytes) -> bytes:
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    return bytes(zstd.compress(raw))


def _member(name: str, entry: Entry) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    match entry:
        case bytes():
            return _member(name, File(entry))
        case File():
            info.size, info.mode, info.mtime = len(entry.data), entry.mode, entry.mtime
            info.uid, info.gid = entry.uid, entry.gid
            info.pax_headers = {f"SCHILY.xattr.{key}": value for key, value in entry.xattrs}
            return info, entry.data
        case Directory():
            info.type, info.mode, info.mtime = tarfile.DIRTYPE, entry.mode, entry.mtime
            info.uid, info.gid = entry.uid, entry.gid
        case Symlink():
            info.type, info.linkname, info.mode = tarfile.SYMTYPE, entry.target, 0o777
        case Hardlink():
            info.type, info.linkname = tarfile.LNKTYPE, entry.target
        case Device():
            info.type = {"c": tarfile.CHRTYPE, "b": tarfile.BLKTYPE, "p": tarfile.FIFOTYPE}[entry.kind]
            info.devmajor, info.devminor = entry.major, entry.minor
    return info, b""
