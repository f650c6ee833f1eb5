"""StoredImage: what an image graph knows of one image, and whether it is the image that a chain wants (LEGACY.md c.7).

How the facts are kept on disk is not told here.
"""

from collections.abc import Callable
from dataclasses import dataclass

from puller.errors import InputError, InvalidManifest
from puller.legacy import olddigest
from puller.legacy.imageid import PREFIX, make_image_config, strong_id
from puller.legacy.reuse import Judgement, Look, Verdict
from puller.legacy.v1image import V1Image, v1_id


@dataclass(frozen=True, slots=True)
class StoredImage:
    """`parent` is empty for a base; `checksum` and `v1_compatibility` are None where there is no such file.

    `trouble` is what to say of a v1Compatibility text that is not there.
    """

    parent: str
    checksum: str | None
    v1_compatibility: bytes | None
    trouble: str = "not set"


def judge(look: Look, stored: StoredImage | None, *, missing: str = "") -> Judgement:
    """Judge the image under `look.image_id`; None, with `missing` saying why, is ABSENT.

    The first thing that does not agree decides, in the original's order and words.
    """
    if stored is None:
        return Judgement(Verdict.ABSENT, f"missing: {missing or f'no such id: {look.image_id}'}")
    wanted = PREFIX + look.candidate.strong_id
    clash = _clash(look, stored, wanted)
    if clash:
        return Judgement(Verdict.CLASHES, clash)
    return Judgement(Verdict.MATCHES, f"Validated {wanted} as {look.image_id}")


def _clash(look: Look, stored: StoredImage, wanted: str) -> str:
    """What does not agree; empty where all does."""
    if stored.checksum is None:
        return "digest: digest is not set for layer"
    try:
        olddigest.validate(stored.checksum)
    except InputError as error:
        return f"digest: {error.what}"
    if look.parent is None and stored.parent:
        return f"unexpected parent: {stored.parent}"
    if look.parent is not None and stored.parent != look.parent:
        return f"parent: {stored.parent} {look.parent}"
    if stored.v1_compatibility is None:
        return f"v1Compatibility: {look.image_id} {stored.trouble}"
    below = look.candidate.parent_strong_id
    try:
        config = make_image_config(stored.v1_compatibility, stored.checksum, PREFIX + below if below else "")
    except InputError as error:
        return f"make config: {error.what}"
    found = strong_id(config)
    return "" if found == wanted else f"digest mismatch: {found} {wanted}, error: <nil>"


def v1_compatibility_of(
    image_id: str, get: Callable[[str], V1Image], kept: Callable[[str], bytes | None]
) -> dict[str, bytes]:
    """The v1Compatibility texts to be written for an image and its parents, itself last; none where it is kept.

    `get` gives an image as the graph holds it (ID, parent and size its own), `kept` the text that is there already.
    Raises InvalidManifest for a parent cycle, for which the original waited for ever, and for a broken text.
    """
    line: list[V1Image] = []
    seen: set[str] = set()
    parent_text = None
    here = image_id
    while here and (parent_text := kept(here)) is None:
        if here in seen:
            raise InvalidManifest("image is its own ancestor", got=here)
        seen.add(here)
        line.append(get(here))
        here = line[-1].parent
    written: dict[str, bytes] = {}
    names = [image_id, *(image.parent for image in line)]
    for name, image in reversed(list(zip(names, line, strict=False))):
        own = image.replaced(id=image.id.removeprefix(PREFIX))
        if image.parent:
            own = own.replaced(parent=v1_id(parent_text or b""))
        parent_text = own.encode()
        written[name] = parent_text
    return written
