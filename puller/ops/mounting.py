"""mounting: the tree of an image at a directory, by overlayfs; kept from collection for as long as it is there."""

from pathlib import Path

from puller.errors import InvalidConfig, Unsupported
from puller.model.text import printable
from puller.ops.shelves import Shelves
from puller.ops.trees import Shelved
from puller.rootfs.mount import unmount
from puller.rootfs.mounts import Mount


def show(image: Shelved, target: Path, shelves: Shelves) -> None:
    """Mount the tree of `image`, read-only, at the directory `target`; the caller's lease keeps it until this returns.

    Blocking. Raises InvalidConfig where there is no such directory, one that is not empty, or one that shows an image
    already (only one of the two could be taken away again, and only that one's layers would be kept); Unsupported where
    the kernel refuses.
    """
    place = target.resolve()
    if not place.is_dir():
        raise InvalidConfig("no directory to mount at", where=target)
    if _shows(place, shelves):
        hint = f"Take it away first: puller umount {printable(str(target))}"
        raise InvalidConfig("an image of this store is mounted there already", where=target, hint=hint)
    if next(place.iterdir(), None) is not None:
        raise InvalidConfig("the directory to mount at is not empty", where=target, hint="Its files would be hidden.")
    entry = Mount(str(place), image.driver.name, tuple(layer.name for layer in image.layers))
    shelves.mounts.note(entry)  # first, so that nothing is ever mounted that nobody knows of
    try:
        image.driver.mount(image.top, place)
    except BaseException as error:
        shelves.mounts.forget(entry.target)
        if isinstance(error, Unsupported):
            error.hint = error.hint or "Mounting is for root; `puller unpack` and `puller export` are for anyone."
        raise
    shelves.mounts.note(entry)  # who looked before it was mounted has taken the entry for a dead one's


def hide(target: Path, shelves: Shelves) -> None:
    """Take away what `show` has mounted at `target`. Blocking.

    Raises InvalidConfig where nothing of this store is shown, Unsupported while it is in use.
    """
    place = target.resolve()
    if not _shows(place, shelves):
        raise InvalidConfig("nothing of this store is mounted there", where=target)
    unmount(place)
    shelves.mounts.forget(str(place))


def _shows(place: Path, shelves: Shelves) -> bool:
    return str(place) in [mount.target for mount in shelves.mounts.living()]
