"""The old world in the new one's words, and back, as Docker since 1.10 translates: a config of today from the history
of schema 1 or of an image graph, and folders of `docker save` for the layers of a config.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from puller.errors import InvalidManifest
from puller.legacy import version
from puller.legacy.gojson import compact, encode_object, load_members
from puller.legacy.gostruct import BOOL, Field, Struct
from puller.legacy.gotime import GoTime
from puller.legacy.imageid import PREFIX, RAW_SINCE
from puller.legacy.modernimage import ModernImage
from puller.model.config import chain_ids
from puller.model.digest import Digest
from puller.model.gostring import quote

# Names of what the new world has elsewhere or not at all: exactly these spellings, as Docker deletes them.
_GONE: Final = ("id", "parent", "Size", "parent_id", "layer_id", "throwaway")
_ONLY_THROWAWAY: Final = Struct("struct { ThrowAway bool }", (Field("throwaway", BOOL),))


def is_throwaway(v1_compatibility: bytes) -> bool:
    """Whether a text of history says that its layer holds nothing and is to be left out."""
    found = _ONLY_THROWAWAY.load(v1_compatibility, load_members(v1_compatibility))
    return bool(found["throwaway"])


def modern_config(history: Sequence[bytes], diff_ids: Sequence[Digest], *, graph_id: str | None = None) -> bytes:
    """The image config that Docker makes of v1Compatibility texts, base first; its digest is the image ID there.

    `diff_ids` are those of the layers that are not thrown away, base first. `graph_id` is kept in it as `id`: so an
    archive says that the image is one of a graph, whose IDs are to stay. Raises InvalidManifest where the two do not
    pair up (THREATS C19), and in Go's words for broken texts.
    """
    thrown = [is_throwaway(text) for text in history]
    if not history or thrown.count(False) != len(diff_ids):
        raise InvalidManifest("history and layers do not pair up", wanted=thrown.count(False), got=len(diff_ids))
    top = history[-1]
    image = ModernImage.decode(top)
    old = version.compare(image.text("docker_version"), RAW_SINCE) < 0
    fields = image.encoded_fields() if old else {m.key: compact(m.text) for m in load_members(top) or ()}
    for name in _GONE:
        fields.pop(name, None)
    if graph_id is not None:
        fields["id"] = quote(graph_id)
    fields["rootfs"] = _rootfs(diff_ids)
    past = (_past(text, empty) for text, empty in zip(history, thrown, strict=True))
    fields["history"] = b"[%b]" % b",".join(past)
    return encode_object(fields)


def _rootfs(diff_ids: Sequence[Digest]) -> bytes:
    if not diff_ids:
        return b'{"type":"layers"}'
    return b'{"type":"layers","diff_ids":[%b]}' % b",".join(quote(str(diff_id)) for diff_id in diff_ids)


def _past(text: bytes, empty: bool) -> bytes:
    image = ModernImage.decode(text)
    known = {"author": image.text("author"), "created_by": image.command, "comment": image.text("comment")}
    parts = [b'"created":%b' % image.created.encode()]
    parts += [b'"%b":%b' % (key.encode(), quote(value)) for key, value in known.items() if value]
    return b"{%b}" % b",".join(parts + [b'"empty_layer":true'] * empty)


@dataclass(frozen=True, slots=True)
class Folder:
    """One layer of a modern image as `docker save` shows it to old readers. `parent` is empty for the base."""

    image_id: str
    parent: str
    json: bytes
    created: GoTime


def folders(config: bytes, diff_ids: Sequence[Digest]) -> tuple[Folder, ...]:
    """The folders of an image's layers, base first, under the IDs that Docker since 1.10 gives them (v1.CreateID).

    Only the top one says what the config says: of the others no more is known than their place in the chain. Raises
    InvalidManifest in Go's words for a config that Docker could not read.
    """
    whole = ModernImage.decode(config)
    found: list[Folder] = []
    for place, chain in enumerate(chain_ids(diff_ids), 1):
        image = whole if place == len(diff_ids) else ModernImage.blank()
        parent = found[-1].image_id if found else ""
        own = _created_id(image, str(chain), parent)
        labels = {"id": own, "os": whole.text("os")} | ({"parent": parent} if parent else {})
        found.append(Folder(own, parent, image.replaced(**labels).encode(), image.created))
    return tuple(found)


def _created_id(image: ModernImage, chain: str, parent: str) -> str:
    fields = image.replaced(id="").encoded_fields() | {"layer_id": quote(chain)}
    if parent:
        fields["parent"] = quote(PREFIX + parent)
    return hashlib.sha256(encode_object(fields)).hexdigest()
