"""A small model of Docker's image graph: folders of files, read as moby's graph read them (LEGACY.md d.1, d.2).

Only as much as choosing IDs asks for, and only what recorded vectors hold; the real one is a room of its own.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from typing import Any

from puller.errors import InvalidManifest
from puller.legacy.idchain import Candidate
from puller.legacy.judge import StoredImage, judge, v1_compatibility_of
from puller.legacy.reuse import Choice, Judgement, Look, choose_ids
from puller.legacy.v1image import V1Image
from tests.legacy.golden import from_base64


@dataclass
class Folders:
    """Files by image; an image without a folder of its driver is invisible. `looks` are the questions answered."""

    files: dict[str, dict[str, bytes]]
    without_driver: frozenset[str] = frozenset()
    looks: list[Look] = field(default_factory=list)

    @classmethod
    def of(cls, case: dict[str, Any]) -> "Folders":
        graph: dict[str, dict[str, str]] = case.get("graph") or {}
        files = {name: {file: from_base64(text) for file, text in held.items()} for name, held in graph.items()}
        return cls(files, frozenset(case.get("no_driver") or ()))

    def get(self, image_id: str) -> V1Image:
        if image_id not in self.files or image_id in self.without_driver:
            raise InvalidManifest(f"could not find image: no such id: {image_id}")
        held = self.files[image_id]
        image = V1Image.decode_stream(held["json"])
        parent = held.get("parent", b"").decode() or image.parent or image.parent_id.partition(":")[2]
        name = image.id or image_id
        size = held.get("layersize", b"0").decode()
        if not size.isdecimal():
            raise InvalidManifest(f'strconv.ParseInt: parsing "{size}": invalid syntax')
        if name != image_id:
            raise InvalidManifest(f"Image stored at '{image_id}' has wrong id '{name}'")
        return image.replaced(id=name, parent=parent, Size=int(size))

    def kept(self, image_id: str) -> bytes | None:
        return self.files[image_id].get("v1Compatibility")

    def generate(self, image_id: str) -> None:
        """What the original wrote for every legacy ID that it found."""
        for name, text in v1_compatibility_of(image_id, self.get, self.kept).items():
            self.files[name]["v1Compatibility"] = text

    def answer(self, look: Look) -> Judgement:
        self.looks.append(look)
        try:
            image = self.get(look.image_id)
        except InvalidManifest as error:
            return judge(look, None, missing=error.what)
        held = self.files[look.image_id]
        checksum = held["checksum"].decode() if "checksum" in held else None
        trouble = f"open $ROOT/graph/{look.image_id}/v1Compatibility: no such file or directory"
        return judge(look, StoredImage(image.parent, checksum, held.get("v1Compatibility"), trouble))

    def choose(self, chain: Sequence[Candidate]) -> list[Choice]:
        """The choices for a chain, legacy texts generated first."""
        for candidate in chain:
            try:
                self.get(candidate.legacy_id)
            except InvalidManifest:
                continue
            self.generate(candidate.legacy_id)
        return answered(choose_ids(chain), self)


def answered(choosing: Generator[Look, Judgement, list[Choice]], folders: Folders) -> list[Choice]:
    """Drive the generator to its end."""
    try:
        look = next(choosing)
        while True:
            look = choosing.send(folders.answer(look))
    except StopIteration as done:
        choices: list[Choice] = done.value
        return choices
