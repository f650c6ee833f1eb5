"""Facts: what was proved of a blob by reading all of it, so that nobody has to read it again."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

from puller.model.digest import Digest, TarsumDigest


@dataclass(frozen=True, slots=True)
class Facts:
    """What one pass over a verified blob has shown. None: not known (yet).

    `tarsum` is a full label (`tarsum.v1+sha256:…`); where the 2015 reader refuses the layer, `tarsum_refusal` says why.
    `verified`: this program hashed its bytes and found them right, so they are its own and not just found in the store.
    `absent`, of an index, holds the entries that nobody asked for: not pulled, not missing (RELIABILITY R2).
    `discarded`, of a manifest, holds layers whose blobs were given up once they were unpacked: not missing either.
    `labels`, of a schema 1 manifest: the blobs that its tarsum labels named. A label that it does not list was never
    fetched, since the image was here.
    """

    diff_id: Digest | None = None
    unpacked_size: int | None = None
    tarsum: str | None = None
    tarsum_refusal: str | None = None
    absent: tuple[Digest, ...] | None = None
    verified: bool = False
    discarded: tuple[Digest, ...] | None = None
    labels: Mapping[str, Digest] | None = field(default=None, hash=False)

    def merged(self, newer: "Facts") -> Self:
        """These facts with those of `newer` on top; `absent` only ever shrinks, so pulls side by side lose nothing.

        Of `discarded` the newer word counts: blobs go, and may be fetched again.
        """
        tarsum_known = newer.tarsum is not None or newer.tarsum_refusal is not None
        return replace(
            self,
            diff_id=newer.diff_id or self.diff_id,
            unpacked_size=self.unpacked_size if newer.unpacked_size is None else newer.unpacked_size,
            tarsum=newer.tarsum if tarsum_known else self.tarsum,
            tarsum_refusal=newer.tarsum_refusal if tarsum_known else self.tarsum_refusal,
            absent=_common(self.absent, newer.absent),
            verified=self.verified or newer.verified,
            discarded=self.discarded if newer.discarded is None else newer.discarded,
            labels=self.labels if newer.labels is None else {**(self.labels or {}), **newer.labels},
        )

    def left_out(self) -> Self:
        """Of these facts those that no reading of a blob brings back: what it names and was left out, or by a label."""
        return type(self)(absent=self.absent, discarded=self.discarded, labels=self.labels)

    def encode(self) -> dict[str, Any]:
        """Plain data, known facts only."""
        document: dict[str, Any] = {
            "diff_id": str(self.diff_id) if self.diff_id else None,
            "unpacked_size": self.unpacked_size,
            "tarsum": self.tarsum,
            "tarsum_refusal": self.tarsum_refusal,
            "absent": None if self.absent is None else [str(digest) for digest in self.absent],
            "verified": self.verified or None,
            "discarded": None if self.discarded is None else [str(digest) for digest in self.discarded],
            "labels": None
            if self.labels is None
            else {label: str(self.labels[label]) for label in sorted(self.labels)},
        }
        return {key: value for key, value in document.items() if value is not None}

    @classmethod
    def decode(cls, document: dict[str, Any]) -> Self:
        """Read what `encode` wrote. Raises ValueError (InvalidDigest is one) for anything else."""
        size = document.get("unpacked_size")
        texts = [document.get(key) for key in ("diff_id", "tarsum", "tarsum_refusal")]
        verified = document.get("verified", False)
        if not all(text is None or isinstance(text, str) for text in texts):
            raise ValueError("facts of another shape")
        if size is not None and (not isinstance(size, int) or isinstance(size, bool) or size < 0):
            raise ValueError("facts of another shape")
        if not isinstance(verified, bool):
            raise ValueError("facts of another shape")
        diff_id, tarsum, refusal = texts
        if tarsum is not None:
            TarsumDigest.parse(tarsum)
        absent, discarded = _digests(document.get("absent")), _digests(document.get("discarded"))
        known = None if diff_id is None else Digest.parse(diff_id)
        return cls(known, size, tarsum, refusal, absent, verified, discarded, _labels(document.get("labels")))


def _digests(texts: object) -> tuple[Digest, ...] | None:
    if not isinstance(texts, list | None):
        raise ValueError("facts of another shape")
    return None if texts is None else tuple(Digest.parse(str(text)) for text in texts)


def _labels(texts: object) -> dict[str, Digest] | None:
    if not isinstance(texts, dict | None):
        raise ValueError("facts of another shape")
    return (
        None if texts is None else {str(TarsumDigest.parse(label)): Digest.parse(str(texts[label])) for label in texts}
    )


def _common(older: tuple[Digest, ...] | None, newer: tuple[Digest, ...] | None) -> tuple[Digest, ...] | None:
    if older is None or newer is None:
        return newer if older is None else older
    return tuple(digest for digest in older if digest in newer)
