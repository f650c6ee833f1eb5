"""Chaining: what `puller id-chain` shows of a manifest and its images."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from puller.legacy.schema1 import SignedManifest
from puller.model.text import printable
from puller.ops.idchain import Link

_LABEL = 10  # columns


def document_of(manifest: SignedManifest, links: Sequence[Link], root: Path | None) -> dict[str, object]:
    """All that is known, as plain data."""
    return {
        "name": manifest.name,
        "tag": manifest.tag,
        "architecture": manifest.architecture,
        "digest": str(manifest.digest),
        "signed": manifest.is_signed,
        "key_ids": list(manifest.key_ids),
        "ignored": list(manifest.ignored),
        "layers": len(manifest.blobs),
        "graph": None if root is None else str(root),
        "images": [link.facts() for link in links],
    }


def lines_of(manifest: SignedManifest, links: Sequence[Link], root: Path | None) -> Iterator[str]:
    """The same for people: the head, then a block for every image, top first. No line can act on a terminal."""
    yield _line("claims", f"{manifest.name}:{manifest.tag} {manifest.architecture}")
    yield _line("digest", str(manifest.digest))
    yield from (_line("signed by", key_id) for key_id in manifest.key_ids or ("nobody",))
    if manifest.ignored:
        yield _line("ignored", f"{len(manifest.ignored)} outside of what is signed: {', '.join(manifest.ignored)}")
    yield _line("images", f"{len(links)}, of {len(manifest.blobs)} layers")
    yield _line("graph", "not asked" if root is None else str(root))
    for link in links:
        candidate, choice = link.candidate, link.choice
        yield ""
        yield _line("layer", candidate.layer.blob + ("  weak" if link.is_weak else ""))
        yield _line("strong", candidate.strong_id)
        yield _line("legacy", candidate.legacy_id)
        yield _line("chosen", f"{choice.image_id}  {choice.reason}")


def _line(label: str, value: str) -> str:
    return f"{label:<{_LABEL}}{printable(value)}"
