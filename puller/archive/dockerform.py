"""The archives of `docker save`, old and new in one: a folder for each layer, as Docker before 1.10 knew it, and beside
them `manifest.json` and the configs that Docker since then reads.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from puller.archive.item import Directory, File, Item, Link, Stream, in_order
from puller.model.digest import Digest
from puller.model.gostring import quote

VERSION: Final = b"1.0"
_NOTHING: Final[Mapping[Digest, str]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class SavedLayer:
    """One folder. `json` is what old readers see; `mtime` when it was made, in seconds since 1970.

    `content` is a diff ID where the archive has that layer already. `own`: its `layer.tar` is a file in any case, and
    never a link to that of another folder with the same content.
    """

    image_id: str
    json: bytes
    mtime: int
    content: Stream | Digest
    own: bool

    @property
    def diff_id(self) -> Digest:
        """Of the layer, whoever has it."""
        return self.content.digest if isinstance(self.content, Stream) else self.content


@dataclass(frozen=True, slots=True)
class SavedImage:
    """One image: its layers base first, the names (repository and ref) it is to have, and the config of today.

    `config` None: the archive is for old readers only.
    """

    layers: Sequence[SavedLayer]
    names: Iterable[tuple[str, str]]
    config: bytes | None


def docker_items(images: Iterable[SavedImage], *, here: Mapping[Digest, str] = _NOTHING) -> Sequence[Item]:
    """The members of an archive of these images, in order. What several images share is in it once.

    `here` are the members at the top that are written already, by the diff ID of the layer each holds.
    """
    tops: dict[tuple[str, bytes | None], tuple[SavedImage, set[tuple[str, str]]]] = {}
    for image in images:
        _, names = tops.setdefault((image.layers[-1].image_id, image.config), (image, set()))
        names |= set(image.names)
    saved = [tops[key] for key in sorted(tops, key=lambda key: (Digest.of(key[1] or b""), key[0]))]
    folders = {layer.image_id: layer for image, _ in reversed(saved) for layer in image.layers}
    places = _places(folders, here)
    items = [item for layer in folders.values() for item in _folder(layer, places)]
    modern = [(image, image.config, names) for image, names in saved if image.config is not None]
    items += [File(f"{Digest.of(config).hex}.json", config, image.layers[-1].mtime) for image, config, _ in modern]
    if modern:
        entries = (_entry(image, config, names, places) for image, config, names in modern)
        items.append(File("manifest.json", b"[%b]\n" % b",".join(entries)))
    if any(names for _, names in saved):
        items.append(File("repositories", _repositories(saved)))
    return in_order(items)


def _places(folders: Mapping[str, SavedLayer], here: Mapping[Digest, str]) -> dict[str, str]:
    """Folder to where the content of its layer is: its own `layer.tar`, that of the first with the same content, or a
    member that is written already.
    """
    first = dict(here)
    places = {}
    for name in sorted(folders):
        layer, tar = folders[name], f"{name}/layer.tar"
        places[name] = tar if layer.own else first.setdefault(layer.diff_id, tar)
    return places


def _folder(layer: SavedLayer, places: Mapping[str, str]) -> list[Item]:
    name, mtime = layer.image_id, layer.mtime
    tar, place = f"{name}/layer.tar", places[name]
    if isinstance(layer.content, Stream) and place == tar:
        held: Item = File(tar, layer.content, mtime)
    else:
        held = Link(tar, f"../{place}", mtime)
    return [
        Directory(name, mtime),
        File(f"{name}/VERSION", VERSION, mtime),
        File(f"{name}/json", layer.json, mtime),
        held,
    ]


def _entry(image: SavedImage, config: bytes, names: Iterable[tuple[str, str]], places: Mapping[str, str]) -> bytes:
    # Files and no links: some readers of today want to know a layer's size before they have seen what a link means.
    layers = b",".join(quote(places[layer.image_id]) for layer in image.layers)
    tags = sorted(f"{repository}:{ref}" for repository, ref in names if not _is_digest(ref))
    listed = b"[%b]" % b",".join(map(quote, tags)) if tags else b"null"
    return b'{"Config":%b,"RepoTags":%b,"Layers":[%b]}' % (quote(f"{Digest.of(config).hex}.json"), listed, layers)


def _repositories(saved: Iterable[tuple[SavedImage, Iterable[tuple[str, str]]]]) -> bytes:
    places: dict[str, dict[str, str]] = {}
    for image, names in saved:
        for repository, ref in names:
            places.setdefault(repository, {})[ref] = image.layers[-1].image_id
    return _object({name: _object({ref: quote(refs[ref]) for ref in refs}) for name, refs in places.items()}) + b"\n"


def _object(values: Mapping[str, bytes]) -> bytes:
    return b"{%b}" % b",".join(quote(key) + b":" + values[key] for key in sorted(values))


def _is_digest(ref: str) -> bool:
    return ":" in ref
