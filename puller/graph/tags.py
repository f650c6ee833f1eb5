"""DiskTagStore: the file `repositories-<driver>`, which names images (LEGACY.md d.5)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias

from puller.contracts.graph import ImageGraph
from puller.errors import ContentCorrupt, InvalidManifest, InvalidReference
from puller.graph import files, names
from puller.graph.failure import translated
from puller.legacy.gojson import encode_object
from puller.legacy.v1image import validate_id
from puller.model.document import load_document
from puller.model.gostring import quote

LIMIT: Final = 64 << 20
_MEMBER: Final = "Repositories"
_HINT: Final = "No image is touched. Put the file back from a copy, or move it away: the images then have no names."

Repositories: TypeAlias = dict[str, dict[str, str]]


class DiskTagStore:
    """A TagStore in one file, encoded as Go did; readers see the old or the new one, whole.

    The original kept names in memory that had gone from the file; here the file alone counts. One that cannot be read
    raises ContentCorrupt, and is never replaced.
    """

    def __init__(self, path: Path, images: ImageGraph, *, durable: bool = True) -> None:
        self._path = path
        self._images = images
        self._durable = durable

    def repositories(self) -> Repositories:
        """Repository to ref to image ID, as the file says now."""
        with translated(self._path.parent):
            try:
                with files.directory(self._path.parent) as folder:
                    raw = files.read(folder, self._path.name, LIMIT)
            except FileNotFoundError:
                raw = None
        try:
            return {} if raw is None else decode(raw)
        except InvalidManifest as error:
            raise ContentCorrupt(
                f"{self._path.name} is damaged", where=self._path, got=str(error), hint=_HINT
            ) from error

    def get(self, repository: str, ref: str) -> str | None:
        """The image ID."""
        return self.repositories().get(names.normalised(repository), {}).get(ref)

    def lookup(self, name: str) -> str:
        """The image ID that a name as people type it stands for, or a unique prefix of one.

        In the place of a tag may stand the beginning of an ID, twelve digits or more, that the repository names.
        Raises ContentMissing and InvalidReference as the graph does.
        """
        repository, ref = names.split(name)
        held = self.repositories().get(names.normalised(repository), {})
        if names.is_id(name):  # never a name, whatever the file says (THREATS A8)
            held = {}
        found = held.get(ref or names.DEFAULT_TAG)
        if found is None and names.is_short_id(ref or names.DEFAULT_TAG):
            found = next((image for _, image in sorted(held.items()) if image.startswith(ref)), None)
        return self._images.lookup(name) if found is None else self._images.get(found).image_id

    def tag(self, repository: str, ref: str, image: str, *, force: bool = True) -> str | None:
        """Name an image, which may be given by name or prefix; the ID that had the name before, if another.

        `ref` empty is `latest`. Raises InvalidReference for a name in use unless `force`, and for what is no name.
        """
        image_id = self.lookup(image)
        key = _checked(repository, ref)
        if not force:
            self._refuse_used(key)
        return self._set({key: image_id}).get(key)

    def set_digest(self, repository: str, digest: str, image: str) -> None:
        """Name an image by the digest of its manifest. Raises InvalidReference where that names another one."""
        image_id = self.lookup(image)
        names.check_repository(repository)
        names.check_digest(digest)
        named = self.get(repository, digest)
        if named not in (None, image_id):
            raise InvalidReference(f"Conflict: Digest {digest} is already set to image {named}")
        self._set({(names.normalised(repository), digest): image_id})

    def replace(self, names: Mapping[tuple[str, str], str]) -> dict[tuple[str, str], str]:
        """Set many (repository, ref) at once, in one rename; which of them had named another image, and which."""
        return self._set({_checked(*key): self.lookup(image) for key, image in names.items()})

    def remove(self, repository: str, ref: str) -> bool:
        """Take a name away, and the repository with its last one (`ref` empty: at once); whether it was there."""
        known = self.repositories()
        name = names.normalised(repository)
        held = known.get(name)
        if held is None or (ref and ref not in held):
            return False
        held.pop(ref, None)
        if not (ref and held):
            del known[name]
        self._write(known)
        return True

    def names_of(self, image_id: str) -> list[tuple[str, str]]:
        """Every (repository, ref) that names this image, in order."""
        return sorted(
            (repository, ref)
            for repository, held in self.repositories().items()
            for ref, named in held.items()
            if named == image_id
        )

    def _refuse_used(self, key: tuple[str, str]) -> None:
        named = self.get(*key)
        if named is not None:
            found = f"Conflict: Tag {key[0]}:{key[1]} is already set to image {named[:12]}"
            raise InvalidReference(f"{found}, if you want to replace it, please use -f option")

    def _set(self, wanted: Mapping[tuple[str, str], str]) -> dict[tuple[str, str], str]:
        """Write these names; what they had named before, where it was something else."""
        known = self.repositories()
        before = {}
        for (repository, ref), image_id in wanted.items():
            held = known.setdefault(repository, {})
            if held.get(ref, image_id) != image_id:
                before[repository, ref] = held[ref]
            held[ref] = image_id
        if wanted:
            self._write(known)
        return before

    def _write(self, known: Repositories) -> None:
        scratch = self._path.with_name(f".{self._path.name}.new")
        with translated(self._path.parent):
            scratch.unlink(missing_ok=True)  # left by a process that died here
            with files.directory(self._path.parent) as folder:
                files.write(folder, scratch.name, encode(known), durable=self._durable)
            scratch.replace(self._path)
            if self._durable:
                files.sync_directory(self._path.parent)


def decode(raw: bytes) -> Repositories:
    """The names in a file. Raises InvalidManifest for anything that Docker would not have written."""
    found: Any = load_document(raw, what="the file", limit=LIMIT).get(_MEMBER)
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise InvalidManifest(f"{_MEMBER} is no object", got=type(found).__name__)
    known: Repositories = {}
    for repository, held in found.items():
        if not isinstance(held, dict) or not all(isinstance(image_id, str) for image_id in held.values()):
            raise InvalidManifest("a repository holds something else than image IDs", where=repository)
        known[repository] = {ref: validate_id(image_id) for ref, image_id in held.items()}
    return known


def encode(known: Repositories) -> bytes:
    """The file as Go encoded it: keys in order, no blanks."""
    texts = {
        repository: encode_object({ref: quote(image_id) for ref, image_id in held.items()})
        for repository, held in known.items()
    }
    return encode_object({_MEMBER: encode_object(texts)})


def _checked(repository: str, ref: str) -> tuple[str, str]:
    names.check_repository(repository)
    names.check_ref(ref or names.DEFAULT_TAG)
    return names.normalised(repository), ref or names.DEFAULT_TAG
