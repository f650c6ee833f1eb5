"""mounting: the tree of an image at a directory, by overlayfs; kept from removal for as long as it is there."""

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from puller.errors import InvalidConfig, Unsupported
from puller.model.text import printable
from puller.ops.unpacking.trees import GraphTree, Tree
from puller.rootfs.mount import mount, unmount
from puller.rootfs.mounts import Mount, MountBook


def show(image: Tree, target: Path, *books: MountBook) -> None:
    """Mount `image`, read-only, at the directory `target`, and write that down in the first of `books`: the store's, or
    that of the image's graph. A caller's lease keeps what is shelved until this returns.

    Blocking. Raises InvalidConfig where there is no such directory, one that is not empty, or one that shows an image
    of any of the books (only one of the two could be taken away again, and only that one would be kept); Unsupported
    where the kernel refuses.
    """
    place = target.resolve()
    if not place.is_dir():
        raise InvalidConfig("no directory to mount at", where=target)
    if any(_shows(place, book) for book in books):
        hint = f"Take it away first: puller umount {printable(str(target))}"
        raise InvalidConfig("an image of this store is mounted there already", where=target, hint=hint)
    if next(place.iterdir(), None) is not None:
        raise InvalidConfig("the directory to mount at is not empty", where=target, hint="Its files would be hidden.")
    book, entry = books[0], _entry(image, place)
    with _held(image):
        book.note(entry)  # first, so that nothing is ever mounted that nobody knows of
        try:
            _mount(image, place)
        except BaseException as error:
            book.forget(entry.target)
            if isinstance(error, Unsupported):
                error.hint = error.hint or "Mounting is for root; `puller unpack` and `puller export` are for anyone."
            raise
        book.note(entry)  # who looked before it was mounted has taken the entry for a dead one's


def hide(target: Path, *books: MountBook) -> None:
    """Take away what `show` has mounted at `target`. Blocking.

    Raises InvalidConfig where nothing of these books is shown, Unsupported while it is in use.
    """
    place = target.resolve()
    book = next((book for book in books if _shows(place, book)), None)
    if book is None:
        raise InvalidConfig("nothing of this store is mounted there", where=target)
    unmount(place)
    book.forget(str(place))


def _shows(place: Path, book: MountBook) -> bool:
    return str(place) in [mount.target for mount in book.living()]


def _entry(image: Tree, place: Path) -> Mount:
    if isinstance(image, GraphTree):
        return Mount(str(place), image.graph.images.driver.name, (image.image_id,))
    return Mount(str(place), image.driver.name, tuple(layer.name for layer in image.layers))


def _held(image: Tree) -> AbstractContextManager[None]:
    return image.graph.images.holding([image.image_id]) if isinstance(image, GraphTree) else nullcontext()


def _mount(image: Tree, place: Path) -> None:
    if isinstance(image, GraphTree):
        with image.graph.images.driver.opened(image.image_id) as directories:
            mount([Path(f"/proc/self/fd/{fd}") for fd, _ in directories], place)
    else:
        image.driver.mount(image.top, place)
