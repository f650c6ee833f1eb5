"""Descriptor: media type, digest and size of content that lies elsewhere (OCI image-spec descriptor.md)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from puller.errors import InvalidManifest, PullerError
from puller.model.digest import Digest
from puller.model.document import list_of, size_of, text_of, texts_of
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
        platform = document.get("platform")
        return cls(
            text_of(document, "mediaType", what=what),
            digest,
            size_of(document, "size", what=what),
            texts_of(document, "annotations", what=what),
            Platform.decode(platform, what=what) if isinstance(platform, dict) else None,
            text_of(document, "artifactType", what=what, default="") or None,
            tuple(urls),
        )

    def encode(self) -> dict[str, Any]:
        """The descriptor as a JSON object, keys in the order of the spec."""
        document: dict[str, Any] = {
            "mediaType": self.media_type,
            "digest": str(self.digest),
            "size": self.size,
        }
        if self.platform is not None:
            platform = {
                "architecture": self.platform.architecture,
                "os": self.platform.os,
                "variant": self.platform.variant,
            }
            document["platform"] = {key: value for key, value in platform.items() if value}
        if self.artifact_type:
            document["artifactType"] = self.artifact_type
        if self.annotations:
            document["annotations"] = dict(self.annotations)
        return document
