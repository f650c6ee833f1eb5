"""Lock: which digest each name had when that was written down. A JSON file with one line for each name, for `git diff`:

    {
     "puller-lock": 1,
     "images": {
      "docker.io/library/debian:12": {"mediaType": "…", "digest": "sha256:…", "size": 8655}
     }
    }

Names are full references. Type and size are a registry's word, as they are in any answer to a HEAD; what comes is held
to the digest.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from puller.errors import InvalidConfig, InvalidManifest, InvalidReference
from puller.model.descriptor import Descriptor
from puller.model.document import load_document, object_of
from puller.model.reference import Reference

SCHEMA: Final = 1
MAX_BYTES: Final = 128 << 20  # 400,000 names
_KEYS: Final = {"mediaType", "digest", "size"}


@dataclass(frozen=True, slots=True)
class Lock:
    """Names with a tag, or with the digest alone, and what each stands for."""

    images: Mapping[Reference, Descriptor] = field(default_factory=dict)

    def encode(self) -> bytes:
        """The file: sorted by name, so that the same lock is the same bytes."""
        lines = [f"  {json.dumps(str(name))}: {json.dumps(_entry(self.images[name]))}" for name in sorted(self.images)]
        images = "{\n" + ",\n".join(lines) + "\n }" if lines else "{}"
        return f'{{\n "puller-lock": {SCHEMA},\n "images": {images}\n}}\n'.encode()

    @classmethod
    def decode(cls, raw: bytes, file: str) -> "Lock":
        """What `encode` made; anything else is refused. Raises InvalidConfig, naming `file`."""
        try:
            document = load_document(raw, what="the lock file", limit=MAX_BYTES)
            if document.get("puller-lock") != SCHEMA:
                hint = "Write it with `puller lock`."
                raise InvalidConfig("no lock file", where=file, wanted=f'"puller-lock": {SCHEMA}', hint=hint)
            if unknown := sorted(document.keys() - {"puller-lock", "images"}):
                raise InvalidConfig("the lock file has an unknown key", where=file, got=unknown[0][:160])
            entries = object_of(document, "images", what="the lock file")
            return cls({_name(text, file): _descriptor(text, entry, file) for text, entry in entries.items()})
        except InvalidManifest as error:
            where = file if error.where is None else f"{file}: {error.where}"
            raise InvalidConfig(error.what, where=where, wanted=error.wanted, got=error.got) from error


def _entry(descriptor: Descriptor) -> dict[str, Any]:
    entry = {"mediaType": descriptor.media_type, "digest": str(descriptor.digest), "size": descriptor.size}
    return {key: value for key, value in entry.items() if value is not None}


def _name(text: str, file: str) -> Reference:
    try:
        name = Reference.parse(text)
    except InvalidReference as error:
        raise InvalidConfig("the lock file names no image", where=file, got=repr(text)[:160]) from error
    if str(name) != text or (name.tag is None) == (name.digest is None):
        wanted = "registry/repository:tag or registry/repository@digest"
        raise InvalidConfig("the lock file has a name that is not in full form", where=file, wanted=wanted, got=text)
    return name


def _descriptor(text: str, entry: Any, file: str) -> Descriptor:
    what = f"the lock of {text}"
    if isinstance(entry, dict) and (unknown := sorted(entry.keys() - _KEYS)):
        raise InvalidConfig(f"{what} has an unknown key", where=file, got=unknown[0][:160])
    if isinstance(entry, dict) and "size" not in entry:
        described = Descriptor.decode(entry | {"size": 0}, what=what)
        descriptor = Descriptor(described.media_type, described.digest)
    else:
        descriptor = Descriptor.decode(entry, what=what)
    pinned = Reference.parse(text).digest
    if pinned is not None and pinned != descriptor.digest:
        raise InvalidConfig(f"{what} contradicts its name", where=file, wanted=pinned, got=descriptor.digest)
    return descriptor
