"""Descriptor: media type, digest and size of content that lies elsewhere (OCI image-spec descriptor.md)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from puller.errors import InvalidManifest, PullerError
from puller.model.digest import Digest
from puller.model.document import list_of, object_of, size_of, text_of, texts_of
from puller.model.mediatype import is_media_type
from puller.model.platform import Platform


@dataclass(frozen=True, slots=True)
class Descriptor:
    """What content to expect. `size` is in bytes; None where the source does not say (a tag not yet read, schema 1)."""

    media_type: str
    digest: Digest
    size: int | None = None
    annotations: Mapping[str, str] = field(default_factory=dict, hash=False, compare=False)
    platform: Platform | None = field(default=None, compare=False)
    artifact_type: str | None = field(default=None, compare=False)
    urls: tuple[str, ...] = field(default=(), compare=False)

    @classmethod
    def decode(cls, document: Any, *, what: str) -> Self:
        """Read a descriptor of a manifest or index. Raises InvalidManifest naming `what`.

        Inline `data` is ignored: the blob is fetched and verified like any other (THREATS C9).
        """
        if not isinstance(document, dict):
            raise InvalidManifest(f"{what} is no descriptor", got=type(document).__name__)
        try:
            digest = Digest.parse(text_of(document, "digest", what=what))
        except PullerError as error:
            raise InvalidManifest(f"{what}: invalid digest", where=str(error)) from error
        urls = list_of(document, "urls", what=what, default=True)
        if not all(isinstance(url, str) for url in urls):
            raise InvalidManifest(f"{what}: urls must be strings")
        media_type = text_of(document, "mediaType", what=what)
        if not is_media_type(media_type):
            raise InvalidManifest(f"{what}: invalid mediaType", wanted="type/subtype", got=repr(media_type)[:160])
        platform = object_of(document, "platform", what=what, default=True)
        return cls(
            media_type,
            digest,
            size_of(document, "size", what=what),
            texts_of(document, "annotations", what=what),
            Platform.decode(platform, what=f"{what} platform") if _is_stated(platform) else None,
            text_of(document, "artifactType", what=what, default="") or None,
            tuple(urls),
        )

    def encode(self) -> dict[str, Any]:
        """The descriptor as a JSON object that `decode` reads back. Raises InvalidManifest where no size is known."""
        if self.size is None:
            raise InvalidManifest("a descriptor without size cannot be written", digest=self.digest)
        document = {
            "mediaType": self.media_type,
            "digest": str(self.digest),
            "size": self.size,
            "urls": list(self.urls),
            "annotations": dict(self.annotations),
            "artifactType": self.artifact_type,
            "platform": self.platform.encode() if self.platform is not None else None,
        }
        return {key: value for key, value in document.items() if value or key == "size"}


def _is_stated(platform: dict[str, Any]) -> bool:
    # Go programs without a platform to name write one of empty strings.
    return any(platform.values())
