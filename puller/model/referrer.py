"""Referrers: where what refers to a manifest is listed if nobody keeps such a list, and what it says of each.

Distribution-spec 1.1, "Pushing Manifests with Subject" and "Referrers Tag Schema": the list is an index, under a tag
made of the digest of the subject.
"""

import json
import re
from typing import Any

from puller.errors import InvalidManifest
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.model.document import MAX_BYTES, list_of, load_document
from puller.model.manifest import Index, Manifest
from puller.model.mediatype import OCI_INDEX

MAX_REF = 64  # characters of the digest that go into the tag
_WHAT = "list of referrers"
_LIST = re.compile(rf"sha(?:256|512)-[0-9a-f]{{{MAX_REF}}}", re.ASCII)
COSIGN = ("sig", "att", "sbom")  # what its tags end with: specs/SIGNATURE_SPEC.md and its kin
_MADE = re.compile(rf"sha256-[0-9a-f]{{64}}\.(?:{'|'.join(COSIGN)})", re.ASCII)  # others would be too long


def tag_of(subject: Digest) -> str:
    """The tag under which the referrers of `subject` are listed."""
    return f"{subject.algorithm}-{subject.hex[:MAX_REF]}"


def is_list_tag(tag: str) -> bool:
    """Whether `tag` is made like that, and nothing is added."""
    return _LIST.fullmatch(tag) is not None


def is_companion(tag: str) -> bool:
    """Whether `tag` is such a list, or one of cosign's: made of a digest, to be had with the image that has that."""
    return is_list_tag(tag) or _MADE.fullmatch(tag) is not None


def entry_of(document: Manifest | Index, descriptor: Descriptor) -> dict[str, Any]:
    """The descriptor of what was pushed, as the list shows it: its type, and all of its annotations."""
    kind = document.artifact_type
    if kind is None and isinstance(document, Manifest) and document.config is not None:
        kind = document.config.media_type
    entry: dict[str, Any] = {
        "mediaType": descriptor.media_type,
        "digest": str(descriptor.digest),
        "size": len(document.raw),
    }
    entry |= {} if kind is None else {"artifactType": kind}
    return entry | ({"annotations": dict(document.annotations)} if document.annotations else {})


def with_referrer(held: bytes | None, *entries: dict[str, Any]) -> bytes | None:
    """The list `held` (None: there is none) with `entries` in it; None where all are in there already.

    Raises InvalidManifest for what is no such list, or would be longer than a manifest may be.
    """
    empty = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}
    index = empty if held is None else load_document(held, what=_WHAT)
    if index.get("mediaType", OCI_INDEX) != OCI_INDEX:
        raise InvalidManifest("the tag names something else", wanted=OCI_INDEX, got=repr(index["mediaType"])[:100])
    listed = list_of(index, "manifests", what=_WHAT)
    known = {str(entry.get("digest")) for entry in listed if isinstance(entry, dict)}
    new = {entry["digest"]: entry for entry in entries if entry["digest"] not in known}
    if not new:
        return None
    changed = json.dumps({**index, "manifests": [*listed, *new.values()]}, separators=(",", ":")).encode()
    if len(changed) > MAX_BYTES:
        raise InvalidManifest(f"{_WHAT} is too large", wanted=f"at most {MAX_BYTES} bytes", got=len(changed))
    return changed
