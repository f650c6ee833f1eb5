"""Places: opens what texts name as places of images, each once in a run.

`host/repository` (always with its registry), `oci:/directory`, `oci-archive:/file`, `docker-archive:/file`, and
`store:DIR#host/repository`, where no DIR means the store of this user. Paths are absolute, which tells a place on this
machine from a registry that happens to be called `oci` and has a port.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from os.path import normpath
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Protocol, Self, TypeAlias, TypeVar, cast

import anyio

from puller.contracts.content import ContentStore, Lease
from puller.contracts.images import ImageSource, ImageTarget, TagKeeper
from puller.errors import InvalidConfig, InvalidReference, Unsupported
from puller.model.digest import Digest
from puller.model.reference import Reference

if TYPE_CHECKING:
    from puller.ops.copying.stored import StoredImages
    from puller.store.plain import PlainLayout

T = TypeVar("T")
Kind: TypeAlias = Literal["registry", "oci", "oci-archive", "docker-archive", "store"]
# DIR of a `store:` place, empty for the store of this user.
OpenStore: TypeAlias = Callable[[str], Awaitable[ContentStore]]
# The name of a repository of a registry that has a blob for certain, to be mounted from; None: it is not known of any.
Lender: TypeAlias = Callable[[str, Digest], str | None]


class RegistryPlace(ImageSource, ImageTarget, TagKeeper, Protocol):
    """A repository of a registry, whatever is wanted of it."""


class Registries(Protocol):
    """What is needed of a RegistryClient."""

    def source(self, reference: Reference) -> ImageSource:
        """Where images of a repository come from, mirrors perhaps."""
        ...

    def repository(
        self, reference: Reference, *, lenders: Callable[[Digest], str | None] | None = None
    ) -> RegistryPlace:
        """The repository in the registry itself."""
        ...

    def catalog(self, registry: str) -> AsyncIterator[str]:
        """The names of all repositories."""
        ...


@dataclass(frozen=True, slots=True)
class Spot:
    """A place taken apart: `path` is of what is on this machine (of a store empty for this user's), `repository` of
    registries and stores.
    """

    kind: Kind
    path: str = ""
    repository: Reference | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the text of a place. Raises InvalidReference, InvalidConfig."""
        kinds: tuple[Kind, ...] = ("oci", "oci-archive", "docker-archive")
        for kind in kinds:
            if text.startswith(f"{kind}:/"):
                return cls(kind, normpath(text.removeprefix(f"{kind}:")))
        folder, mark, name = text.removeprefix("store:").rpartition("#")
        if text.startswith("store:") and mark:
            if folder and not folder.startswith("/"):
                raise InvalidConfig("the directory of a store must be absolute", where=text)
            return cls("store", folder and normpath(folder), _repository(name, text))
        return cls("registry", "", _repository(text, text))

    def __str__(self) -> str:
        if self.repository is None:
            return f"{self.kind}:{self.path}"
        name = self.repository.name
        return name if self.kind == "registry" else f"store:{self.path}#{name}"


def _repository(text: str, place: str) -> Reference:
    reference = Reference.parse(text)
    if reference.name != text:
        raise InvalidReference("a place is a repository with its registry", wanted=reference.name, got=place)
    return reference


class Places:
    """An async context manager: leaving it ends what was written, archives among it; after an error they are not there.

    One object for each place, as source and as target; safe to use from many tasks. `made`: of which kind the manifests
    are that archives of Docker's lack. `looks`: nothing is to be brought, so no directory is written to.
    """

    def __init__(
        self,
        registries: Registries,
        *,
        stores: OpenStore,
        made: Literal["docker", "oci"] = "docker",
        looks: bool = False,
    ) -> None:
        self._registries = registries
        self._made = made
        self._looks = looks
        self._open_store = stores
        self._lender: Lender | None = None
        self._stack = AsyncExitStack()
        self._locks: dict[object, anyio.Lock] = {}
        self._opened: dict[object, object] = {}
        self._sources: dict[str, set[str]] = {}  # the repositories of registries that are copied from

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._opened.clear()
        await self._stack.__aexit__(kind, error, trace)

    async def source(self, place: str) -> ImageSource:
        """A place to copy images from. Raises any PullerError; nothing is written there."""
        spot = Spot.parse(place)
        return await self._once(("source", str(spot)), lambda: self._source(spot))

    async def target(self, place: str) -> ImageTarget:
        """A place to copy images to, which is made with the first one. Raises any PullerError."""
        spot = Spot.parse(place)
        if spot.kind in ("oci-archive", "docker-archive"):
            return await self._once(("target", str(spot)), lambda: self._archive(spot))
        return await self._kept(spot)

    async def keeper(self, place: str) -> TagKeeper:
        """A place whose tags can be taken away. Raises any PullerError; Unsupported for archives."""
        return await self._kept(Spot.parse(place))

    def borrow_from(self, lender: Lender) -> None:
        """Have `lender` asked who can lend a blob; else the only source in the same registry is tried."""
        self._lender = lender

    def catalog(self, registry: str) -> AsyncIterator[str]:
        """The names of all repositories of a registry. Raises RegistryError."""
        return self._registries.catalog(registry)

    # --- inside ---

    async def _source(self, spot: Spot) -> ImageSource:
        if spot.kind == "registry":
            assert spot.repository is not None
            self._sources.setdefault(spot.repository.registry, set()).add(spot.repository.repository)
            return self._registries.source(spot.repository)
        if spot.kind == "store":
            return await self._stored(spot)
        path = Path(spot.path)
        if spot.kind == "oci":
            from puller.store.opened import OpenedLayout  # these only now: from registry to registry needs none of it

            opened = await OpenedLayout.open(path)
            # Who writes there as well knows what has become of its names; another would take them apart after each one.
            kept = self._opened.get(("kept", str(spot)))
            return kept if isinstance(kept, OpenedLayout) else opened
        from puller.ops.copying.archived import open_archive_source

        return await self._stack.enter_async_context(open_archive_source(path, str(spot), made=self._made))

    async def _archive(self, spot: Spot) -> ImageTarget:
        from puller.ops.copying.archived import open_archive_target

        form: Literal["oci", "docker"] = "oci" if spot.kind == "oci-archive" else "docker"
        return await self._stack.enter_async_context(open_archive_target(Path(spot.path), str(spot), form))

    async def _kept(self, spot: Spot) -> "RegistryPlace | PlainLayout | StoredImages":
        return await self._once(("kept", str(spot)), lambda: self._keeping(spot))

    async def _keeping(self, spot: Spot) -> "RegistryPlace | PlainLayout | StoredImages":
        if spot.kind == "registry":
            assert spot.repository is not None
            return self._registries.repository(spot.repository, lenders=self._lender_for(spot.repository))
        if spot.kind == "store":
            return await self._stored(spot)
        if spot.kind == "oci":
            from puller.store.plain import PlainLayout

            return await self._stack.enter_async_context(await PlainLayout.at(Path(spot.path), looks=self._looks))
        raise Unsupported("tags in an archive cannot be taken away", where=str(spot))

    async def _stored(self, spot: Spot) -> "StoredImages":
        from puller.ops.copying.stored import StoredImages

        assert spot.repository is not None
        store, lease = await self._once(("store", spot.path), lambda: self._leased(spot.path))
        return StoredImages(store, spot.repository, str(spot), lease=lease)

    async def _leased(self, folder: str) -> tuple[ContentStore, Lease]:
        store = await self._open_store(folder)
        return store, await self._stack.enter_async_context(store.lease())

    def _lender_for(self, target: Reference) -> Callable[[Digest], str | None]:
        def lender(digest: Digest) -> str | None:
            known = None if self._lender is None else self._lender(target.registry, digest)
            if known not in (None, target.repository):
                return known
            others = self._sources.get(target.registry, set()) - {target.repository}
            return next(iter(others)) if len(others) == 1 else None

        return lender

    async def _once(self, key: object, make: Callable[[], Awaitable[T]]) -> T:
        """What `make` makes, made once; one after the other for those who ask at the same time."""
        async with self._locks.setdefault(key, anyio.Lock()):
            if key not in self._opened:
                self._opened[key] = await make()
            return cast(T, self._opened[key])
