"""platforms: whether the one image that a name stands for is for the platform that somebody asked for."""

from puller.contracts.content import ContentStore
from puller.errors import InputError, Unsupported
from puller.legacy.v1image import V1Image
from puller.model.descriptor import Descriptor
from puller.model.platform import Platform
from puller.ops.pulling.plan import Image
from puller.ops.unpacking.stored import image_at


def platform_of(image: V1Image) -> Platform | None:
    """What an old image says it is for; None where it says none: Docker did not ask."""
    own = {key: str(image.values[key]) for key in ("architecture", "os")}
    try:
        return Platform.decode(own, what="image")
    except InputError:
        return None


def refuse_other(actual: Platform | None, asked: Platform | None, *, text: str) -> None:
    """Raise Unsupported, as an index does that has no image for `asked`; None are not held to anything."""
    if asked is not None and actual is not None and actual.serves(asked) is None:
        raise Unsupported(
            "no image for this platform", wanted=asked, got=actual, reference=text, hint="It comes in no other."
        )


async def chosen(
    root: Descriptor, store: ContentStore, asked: Platform | None, otherwise: Platform | None = None, *, text: str
) -> tuple[Descriptor, Image]:
    """The manifest that `root` is, or of an index the one for `asked`, else for `otherwise`; with its config.

    Raises what `image_at` raises, and Unsupported for the one image of another platform.
    """
    descriptor, image = await image_at(root, store, asked or otherwise)
    if descriptor.digest == root.digest and image.config is not None:
        refuse_other(image.config.platform, asked, text=text)
    return descriptor, image
